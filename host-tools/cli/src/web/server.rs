//! Serves the page to this machine only.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use oxhttp::Server;
use oxhttp::model::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use oxhttp::model::{Body, Method, Request, Response, StatusCode};
use zerda_support::error::{Error, Result};
use zerda_support::output::print;

use super::site::Site;

/// Takes a port of this machine; 0 is any that is free.
pub fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => "another program has it".into(),
            ErrorKind::PermissionDenied => "this user may not take it".into(),
            _ => error.to_string(),
        };
        Error::usage(format!(
            "port {port} of localhost cannot be taken: {why}; choose another with --port"
        ))
    })
}

/// Serves the page until the process ends.
pub fn serve(listener: TcpListener, site: Site) -> Result<()> {
    let address = listener.local_addr();
    let address = address.map_err(|error| Error::read("localhost", error))?;
    drop(listener);
    let bytes = site.bytes();
    let server = Server::new(move |request| answer(&site, request)).bind(address);
    let failed = |error| Error::usage(format!("{address} cannot be served: {error}"));
    let server = server.spawn().map_err(failed)?;
    print(&format!(
        "http://{address}/ has the page, {bytes} bytes, for this machine only; Ctrl-C ends it"
    ))?;
    server.join().map_err(failed)
}

/// Answers with a file of the page: what has no name there does not exist, whatever lies on the disk.
fn answer(site: &Site, request: &Request<Body>) -> Response<Body> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD alone");
        return with(response, ALLOW, "GET, HEAD");
    }
    let name = match request.uri().path() {
        "/" => "index.html",
        path => path.strip_prefix('/').unwrap_or_default(),
    };
    let Some((_, bytes)) = site.files.iter().find(|(file, _)| file == name) else {
        return text(StatusCode::NOT_FOUND, "no such file of the page");
    };
    let response = Response::new(Body::from(bytes.clone()));
    // Another page may be served here next.
    let response = with(response, CACHE_CONTROL, "no-cache");
    with(response, CONTENT_TYPE, kind(name))
}

fn text(status: StatusCode, line: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(line));
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, "text/plain; charset=utf-8")
}

fn with(mut response: Response<Body>, name: HeaderName, value: &'static str) -> Response<Body> {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

/// Returns the media type of a file by its name.
fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "wasm" => "application/wasm",
        "wav" => "audio/wav",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &str) -> (u16, String) {
        let site = Site {
            files: vec![
                ("index.html".into(), b"page".to_vec()),
                ("zerda.wasm".into(), b"module".to_vec()),
            ],
        };
        let request = Request::builder().method(method).uri(path);
        let response = answer(&site, &request.body(Body::empty()).unwrap());
        let kind = &response.headers()[CONTENT_TYPE];
        (response.status().as_u16(), kind.to_str().unwrap().into())
    }

    #[test]
    fn files_of_the_page_are_served_and_nothing_else_whatever_the_path() {
        let html = "text/html; charset=utf-8".to_string();
        assert_eq!(asked(Method::GET, "/"), (200, html.clone()));
        assert_eq!(asked(Method::GET, "/index.html?a=b"), (200, html));
        let module = asked(Method::HEAD, "/zerda.wasm");
        assert_eq!(module, (200, "application/wasm".into()));
        for path in [
            "/../Cargo.toml",
            "/../../../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/Cargo.toml",
            "/.",
            "*",
        ] {
            assert_eq!(asked(Method::GET, path).0, 404, "{path}");
        }
        assert_eq!(asked(Method::POST, "/").0, 405);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_of_one_line() {
        let taken = listen(0).unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = listen(port).unwrap_err().to_string();
        let expected = format!(
            "port {port} of localhost cannot be taken: another program has it; choose another with --port"
        );
        assert_eq!(message, expected);
    }
}
