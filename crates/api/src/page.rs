//! Lists by pages, as the original's clients read them: they follow `meta.next_page_url` verbatim.
//!
//! A page begins after a key of its list (a date and an id, or a key of a setting), not at a number of items: an item
//! that exists throughout is listed exactly once, whatever is added or removed meanwhile (D373).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::form::Form;
use crate::limits::{MAX_PAGE_SIZE, PAGE_SIZE};
use crate::links::Links;

/// What every list says of its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Meta {
    /// The number of the page, as the client counts.
    page: u64,
    /// The most items on a page.
    page_size: u32,
    /// The first page.
    first_page_url: String,
    /// The page before; always null: a list is read forwards.
    previous_page_url: Option<String>,
    /// This page.
    url: String,
    /// The next page; null on the last.
    next_page_url: Option<String>,
    /// The property that has the items.
    key: String,
}

/// Which page a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    /// The most items on it.
    size: u32,
    number: u64,
    /// The key after which it begins; `None`: the first page.
    after: Option<String>,
}

impl Paging {
    /// # Errors
    /// A parameter is invalid.
    pub(crate) fn new(links: &Links) -> Result<Self, ApiError> {
        let query = Form::parse(links.query().as_bytes());
        let size: u32 = query.number("PageSize")?.unwrap_or(PAGE_SIZE);
        if size == 0 {
            return Err(ApiError::invalid("the parameter PageSize must be at least 1"));
        }
        let after = query.get("PageToken").filter(|token| !token.is_empty()).map(decode).transpose()?;
        let number = query.number("Page")?.unwrap_or(0);
        Ok(Self { size: size.min(MAX_PAGE_SIZE), number, after })
    }

    /// One more than fit on the page: whether there is one shows whether there is a next page.
    pub(crate) fn count(&self) -> u32 {
        self.size + 1
    }

    /// The key after which the page begins.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The key of a list by date and id.
    ///
    /// # Errors
    /// The page token is of another list.
    pub(crate) fn after_dated<I>(
        &self,
        parse: impl Fn(&str) -> Option<I>,
    ) -> Result<Option<(i64, I)>, ApiError> {
        let Some(after) = &self.after else { return Ok(None) };
        let key = after.split_once(' ').and_then(|(date, id)| Some((date.parse().ok()?, parse(id)?)));
        key.map(Some).ok_or_else(invalid_token)
    }

    /// Cuts the items to one page, and says what there is before and after it. `key` gives an item's key in the list.
    pub(crate) fn finish<T>(
        &self,
        links: &Links,
        property: &str,
        items: &mut Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Meta {
        let has_more = items.len() > self.size as usize;
        items.truncate(self.size as usize);
        let url = |number: u64, after: Option<&str>| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("PageSize", &self.size.to_string()).append_pair("Page", &number.to_string());
            if let Some(after) = after {
                query.append_pair("PageToken", &encode(after));
            }
            // Parameters of the list itself, such as a filter, hold on its other pages too.
            for (name, value) in url::form_urlencoded::parse(links.query().as_bytes()) {
                if !["PageSize", "Page", "PageToken"].contains(&&*name) {
                    query.append_pair(&name, &value);
                }
            }
            let query = query.finish();
            links.to(&format!("{}?{query}", links.path()))
        };
        let next = items
            .last()
            .filter(|_| has_more)
            .map(|last| url(self.number.saturating_add(1), Some(&key(last))));
        Meta {
            page: self.number,
            page_size: self.size,
            first_page_url: url(0, None),
            previous_page_url: None,
            url: url(self.number, self.after.as_deref()),
            next_page_url: next,
            key: property.to_owned(),
        }
    }
}

/// The key of a list by date and id.
pub(crate) fn dated(created: i64, id: impl std::fmt::Display) -> String {
    format!("{created} {id}")
}

/// A token says nothing that the list does not show, and a list shows its own account's items only whatever the token
/// says, so it needs no seal.
fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn decode(token: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid_token())?;
    String::from_utf8(bytes).map_err(|_| invalid_token())
}

fn invalid_token() -> ApiError {
    ApiError::invalid("the parameter PageToken is not one of this list")
}
