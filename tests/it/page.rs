//! The web page is served, or says why not. What it does is tested in a browser: see `ui/browser`.

use crate::harness::Daemon;

#[test]
fn the_page_is_there_or_says_that_it_was_left_out() {
    let daemon = Daemon::start();
    let answer = daemon.exchange("GET", "/ui/", &[], "").unwrap();
    let text = answer.value().as_str().unwrap().to_owned();
    match answer.status {
        200 => {
            assert!(text.contains(&format!("&quot;statsd&quot;: &quot;{}&quot;", daemon.statsd)), "{text}");
            assert!(answer.header("content-security-policy").contains("default-src 'self'"));
            every_file_it_names_is_there(&daemon, &text);
        }
        404 => assert!(text.contains("make build"), "{text}"),
        other => panic!("{other}: {text}"),
    }
}

/// Files that a page names, such as `src="assets/app-1A2B.js"`; none lies anywhere else.
fn every_file_it_names_is_there(daemon: &Daemon, page: &str) {
    let named: Vec<&str> = ["src=\"", "href=\""].iter().flat_map(|key| page.split(key).skip(1)).collect();
    assert!(!named.is_empty(), "{page}");
    for name in
        named.into_iter().filter_map(|rest| rest.split('"').next()).filter(|name| !name.starts_with('?'))
    {
        assert!(name.starts_with("assets/"), "{name}");
        let file = daemon.exchange("GET", &format!("/ui/{name}"), &[], "").unwrap();
        assert_eq!(file.status, 200, "{name}");
        assert!(file.header("cache-control").contains("immutable"), "{name}");
    }
}

#[test]
fn it_can_be_switched_off() {
    let daemon = Daemon::start_with_http("ui = false");
    let answer = daemon.exchange("GET", "/ui/", &[("Accept", "application/json")], "").unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.value()["description"].is_null());
}
