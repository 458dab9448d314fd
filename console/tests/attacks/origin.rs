//! Pages of others.

use super::browser::Socket;
use super::rig::Rig;
use hyclus::control::Role;

/// What a page does, headers in place of the customary ones, and the status that it gets.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);

/// Every change that a page of another origin could try, as it would send it.
#[test]
fn a_page_of_another_origin_changes_nothing() {
    let rig = Rig::start("");
    let maria = rig.operator();
    let own = format!("http://{}", rig.address);
    let cases: &[Case<'_>] = &[
        ("another origin", &[("origin", "http://evil.example")], 403),
        ("no origin", &[("origin", "")], 403),
        ("an opaque origin", &[("origin", "null")], 403),
        ("another port", &[("origin", "http://127.0.0.1:1")], 403),
        ("another scheme", &[("origin", &format!("https://{}", rig.address))], 403),
        ("a longer name", &[("origin", &format!("{own}.evil.example"))], 403),
        ("cross-site", &[("sec-fetch-site", "cross-site")], 403),
        ("same-site", &[("sec-fetch-site", "same-site")], 403),
        ("an address that was typed", &[("sec-fetch-site", "none")], 403),
        ("an old browser", &[("sec-fetch-site", "")], 403),
        ("a form", &[("content-type", "application/x-www-form-urlencoded")], 415),
        ("a form of parts", &[("content-type", "multipart/form-data; boundary=x")], 415),
        ("plain text", &[("content-type", "text/plain")], 415),
        ("text that claims JSON", &[("content-type", "text/plain; application/json")], 415),
        ("no type", &[("content-type", "")], 415),
        ("no token", &[("x-hyclus-token", "")], 403),
        ("a token of another session", &[("x-hyclus-token", &rig.guest("jan", Role::Operate).token)], 403),
        ("a token that is cut", &[("x-hyclus-token", &maria.token[..63])], 403),
        ("no cookie", &[("cookie", "")], 401),
        ("another cookie", &[("cookie", "__Host-hyclus=0000")], 401),
        ("the token as cookie", &[("cookie", &format!("__Host-hyclus={}", maria.token))], 401),
    ];
    for (what, headers, status) in cases {
        for (method, path) in
            [("POST", "/api/stop"), ("POST", "/api/scans"), ("PUT", "/api/conveyor"), ("DELETE", "/api/lease"), ("POST", "/api/logout")]
        {
            let answer = maria.ask(method, path, headers, "{}");
            assert_eq!(answer.status, *status, "{what}: {method} {path} {}", answer.text());
        }
    }
    assert_eq!(rig.daemon.calls().len(), 0, "{:?}", rig.daemon.calls());
    assert_eq!(maria.post("/api/stop", "{}").status, 200);
    assert_eq!(rig.daemon.calls()[0].line, "POST /v1/stop");
    assert_eq!(rig.daemon.calls()[0].person, "maria");
}

#[test]
fn a_page_of_another_origin_cannot_log_in_or_look() {
    let rig = Rig::start("");
    let browser = rig.browser();
    let login = r#"{"user":"maria","password":"correct horse battery"}"#;
    assert_eq!(browser.ask("POST", "/api/login", &[("origin", "http://evil.example")], login).status, 403);
    assert_eq!(browser.ask("POST", "/api/link", &[("sec-fetch-site", "cross-site")], r#"{"code":"x"}"#).status, 403);
    let olga = rig.guest("olga", Role::Observe);
    for headers in [&[("sec-fetch-site", "cross-site")][..], &[("sec-fetch-site", "same-site")], &[("origin", "http://evil.example")]] {
        assert_eq!(olga.ask("GET", "/api/rig", headers, "").status, 403);
    }
    assert_eq!(olga.get("/api/rig").status, 200);
    assert_eq!(olga.ask("GET", "/api/health.csv", &[("sec-fetch-site", "none")], "").status, 200, "an address that was typed");
    for headers in [&[("origin", "http://evil.example")][..], &[("origin", "")], &[("sec-fetch-site", "cross-site")], &[("cookie", "")]] {
        let status = Socket::open(&olga, headers).err().unwrap();
        assert!(status == 403 || status == 401, "{headers:?} {status}");
    }
    assert!(Socket::open(&olga, &[]).is_ok());
}

#[test]
fn a_name_that_was_made_to_lead_here_is_refused() {
    let rig = Rig::start(r#"hosts = ["rig1.lab"]"#);
    let port = rig.address.port();
    let olga = rig.guest("olga", Role::Observe);
    for host in
        ["evil.example".to_owned(), format!("evil.example:{port}"), "localhost.evil.example".into(), "192.0.2.1".into(), "0.0.0.0".into()]
    {
        for path in ["/", "/index.html", "/api/rig", "/api/session"] {
            let answer = olga.ask("GET", path, &[("host", &host)], "");
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(answer.text().contains("hosts"));
        }
        let answer = olga.ask("POST", "/api/stop", &[("host", &host), ("origin", &format!("http://{host}"))], "{}");
        assert_eq!(answer.status, 421);
    }
    for host in [format!("localhost:{port}"), format!("rig1.lab:{port}"), format!("127.0.0.1:{port}")] {
        assert_eq!(olga.ask("GET", "/api/rig", &[("host", &host)], "").status, 200, "{host}");
        let origin = format!("http://{host}");
        assert_eq!(olga.ask("POST", "/api/trays/check", &[("host", &host), ("origin", &origin)], r#"{"tray":{}}"#).status, 200, "{host}");
    }
    assert_eq!(olga.ask("GET", "/api/rig", &[("host", "")], "").status, 400);
    assert!(rig.daemon.calls().iter().all(|call| call.line == "POST /v1/trays/check"));
}
