//! Who may call what: one table. A path that is not here does not exist.

use crate::data;
use axum::http::Method;
use hyclus::control::Role;

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The least role. `None` before a login.
    pub role: Option<Role>,
    /// Whether its session must hold the lease.
    pub lease: bool,
}

/// A call.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its method.
    pub method: Method,
    /// Its path. `*` stands for one segment.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
}

const fn rule(method: Method, path: &'static str, role: Option<Role>, lease: bool) -> Rule {
    Rule { method, path, need: Need { role, lease } }
}

const LOOK: Option<Role> = Some(Role::Observe);
const OPERATE: Option<Role> = Some(Role::Operate);

/// Every call but those of the data.
pub static RULES: [Rule; 24] = [
    rule(Method::GET, "/api/session", LOOK, false),
    rule(Method::POST, "/api/login", None, false),
    rule(Method::POST, "/api/link", None, false),
    rule(Method::POST, "/api/logout", LOOK, false),
    rule(Method::POST, "/api/lease", OPERATE, false),
    rule(Method::DELETE, "/api/lease", OPERATE, false),
    rule(Method::GET, "/api/live", LOOK, false),
    rule(Method::GET, "/api/rig", LOOK, false),
    rule(Method::POST, "/api/alarms/*/acknowledge", OPERATE, false),
    // An emergency stop is nobody's privilege.
    rule(Method::POST, "/api/stop", LOOK, false),
    rule(Method::POST, "/api/acknowledge", OPERATE, true),
    rule(Method::POST, "/api/scans", OPERATE, true),
    rule(Method::POST, "/api/scans/*/stop", OPERATE, true),
    rule(Method::POST, "/api/references/dark", OPERATE, true),
    rule(Method::POST, "/api/references/white", OPERATE, true),
    rule(Method::PUT, "/api/lighting", OPERATE, true),
    // To stop the belt needs no lease. What moves it does, and its handler asks.
    rule(Method::PUT, "/api/conveyor", OPERATE, false),
    rule(Method::POST, "/api/trays/check", LOOK, false),
    rule(Method::POST, "/api/trays/worklist", LOOK, false),
    rule(Method::GET, "/api/trays", LOOK, false),
    rule(Method::PUT, "/api/trays/*", OPERATE, false),
    rule(Method::DELETE, "/api/trays/*", OPERATE, false),
    rule(Method::GET, "/api/health", LOOK, false),
    rule(Method::GET, "/api/health.csv", LOOK, false),
];

/// Where the calls of the data begin, with their methods.
static DATA: [(&str, &[Method]); 4] = [
    ("/api/scans", &[Method::GET]),
    ("/api/samples", &[Method::GET]),
    ("/api/explorer", &[Method::GET, Method::POST]),
    ("/api/jobs", &[Method::GET, Method::POST, Method::DELETE]),
];

/// What a call needs. `None` where there is no such call.
pub fn need(method: &Method, path: &str) -> Option<Need> {
    if let Some(rule) = RULES.iter().find(|rule| rule.method == *method && matches(rule.path, path)) {
        return Some(rule.need);
    }
    let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let known = DATA.iter().any(|(root, methods)| below(root) && methods.contains(method));
    known.then(|| Need { role: Some(data::least_role(method, path)), lease: false })
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_does_not_exist() {
        let role = |method: Method, path: &str| need(&method, path).map(|need| need.role);
        assert_eq!(role(Method::POST, "/api/stop"), Some(LOOK));
        assert_eq!(role(Method::POST, "/api/scans"), Some(OPERATE));
        assert_eq!(role(Method::GET, "/api/scans/x"), Some(LOOK));
        for (method, path) in [
            (Method::GET, "/api/stop"),
            (Method::POST, "/api/stop/"),
            (Method::POST, "/api//stop"),
            (Method::POST, "/api/scans/x"),
            (Method::POST, "/api/scans//stop"),
            (Method::PUT, "/api/trays"),
            (Method::PUT, "/api/trays/a/b"),
            (Method::GET, "/api/scansx"),
            (Method::GET, "/api"),
            (Method::PATCH, "/api/scans"),
        ] {
            assert_eq!(role(method.clone(), path), None, "{method} {path}");
        }
    }

    #[test]
    fn whatever_moves_something_needs_the_lease() {
        for rule in RULES.iter().filter(|rule| rule.need.lease) {
            assert_eq!(rule.need.role, OPERATE, "{}", rule.path);
        }
        assert_eq!(RULES.iter().filter(|rule| rule.need.lease).count(), 6);
    }
}
