//! Parameters of a request: a form in the body, or a query.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};

use crate::error::{ApiError, codes};

/// The parameters of a form, `application/x-www-form-urlencoded`. Unknown ones are ignored, as clients of the original
/// need; of two with one name the first counts.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// # Errors
    /// It is missing.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::invalid(format!("the parameter {name} is missing")))
    }

    /// A truth value in any case: clients send `true` as well as `True`.
    ///
    /// # Errors
    /// It is there and is none.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid(format!("the parameter {name} is neither `true` nor `false`"))),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// It is there and is none, or is out of range.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, ApiError> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| ApiError::invalid(format!("the parameter {name} is not a number in its range")))
        };
        self.get(name).map(parse).transpose()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let media_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| body_error(rejection.status()))?;
        let is_form = media_type.is_some_and(|value| {
            let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if !body.is_empty() && !is_form {
            let message = "the body must be application/x-www-form-urlencoded";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, codes::MEDIA_TYPE, message));
        }
        if !is_utf8(&body) {
            return Err(ApiError::invalid("the body is not UTF-8"));
        }
        Ok(Self::parse(&body))
    }
}

/// Why a body could not be read.
pub(crate) fn body_error(status: StatusCode) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(status, codes::TOO_LARGE, "the body is too large");
    }
    ApiError::invalid("the body could not be read")
}

/// Whether every parameter is UTF-8 once decoded: an invalid byte would be replaced without a word.
fn is_utf8(body: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if let (b'%', Some((digits, after))) = (byte, after.split_first_chunk::<2>()) {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            if let (true, Ok(value)) =
                (digits.iter().all(u8::is_ascii_hexdigit), u8::from_str_radix(text, 16))
            {
                decoded.push(value);
                rest = after;
                continue;
            }
        }
        decoded.push(byte);
    }
    std::str::from_utf8(&decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D376. Bytes as the clients send them.
    #[test]
    fn spaces_and_truth_values_of_every_client_are_understood() {
        let form = Form::parse(b"Value=a+b&LoggingEnabled=True&Value=c&RestartApp=false&Key=x%20y&Other");
        assert_eq!((form.get("Value"), form.get("Key")), (Some("a b"), Some("x y")));
        assert_eq!(form.boolean("LoggingEnabled"), Ok(Some(true)));
        assert_eq!(form.boolean("RestartApp"), Ok(Some(false)));
        assert_eq!(form.boolean("Missing"), Ok(None));
        assert!(form.boolean("Value").is_err() && form.required("Missing").is_err());
        assert_eq!(form.all("Value").collect::<Vec<_>>(), ["a b", "c"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_found_however_they_are_encoded() {
        for (bytes, is_valid) in
            [(&b"a=%C3%A4"[..], true), (b"a=%E4", false), (b"a=\xe4", false), (b"a=%", true), (b"%zz", true)]
        {
            assert_eq!(is_utf8(bytes), is_valid, "{bytes:?}");
        }
    }
}
