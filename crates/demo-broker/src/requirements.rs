//! What a broker in a test requires of its clients, and how it refuses the others.

use std::fmt;

/// A user name and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user_name: String,
    /// The password; empty for none.
    pub password: Vec<u8>,
}

impl fmt::Debug for Login {
    /// Shows neither.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// Why a broker refuses a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name in MQTT 5, in lower case with hyphens.
    pub name: &'static str,
    /// The reason code of MQTT 5 (3.2.2.2).
    pub reason: u8,
    /// The nearest return code of MQTT 3.1.1 (3.2.2.3).
    pub return_code: u8,
}

/// Sent to a client with another user name or password than the required ones.
pub const BAD_LOGIN: Refusal = Refusal { name: "bad-user-name-or-password", reason: 0x86, return_code: 4 };

/// Every refusal there is.
pub const REFUSALS: [Refusal; 9] = [
    Refusal { name: "unspecified-error", reason: 0x80, return_code: 3 },
    Refusal { name: "client-identifier-not-valid", reason: 0x85, return_code: 2 },
    BAD_LOGIN,
    Refusal { name: "not-authorized", reason: 0x87, return_code: 5 },
    Refusal { name: "server-unavailable", reason: 0x88, return_code: 3 },
    Refusal { name: "server-busy", reason: 0x89, return_code: 3 },
    Refusal { name: "banned", reason: 0x8a, return_code: 5 },
    Refusal { name: "quota-exceeded", reason: 0x97, return_code: 3 },
    Refusal { name: "connection-rate-exceeded", reason: 0x9f, return_code: 3 },
];

/// What a broker requires of a client that connects. The default requires nothing.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    /// Every client is refused for this reason.
    pub refusal: Option<Refusal>,
    /// A client needs this user name and this password.
    pub login: Option<Login>,
}

impl Requirements {
    /// How a client that gave this user name and password is refused; `None` accepts it.
    pub(crate) fn refusal_of(&self, given: Option<&Login>) -> Option<Refusal> {
        let is_wrong = self.login.as_ref().is_some_and(|login| given != Some(login));
        self.refusal.or_else(|| is_wrong.then_some(BAD_LOGIN))
    }
}
