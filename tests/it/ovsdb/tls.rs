//! TLS: the right certificates, and what is said of wrong ones.

use northc::ovsdb::fault::{Fault, Remedy, TlsFailure};
use northc::ovsdb::session::Session;

use super::{names, options, switch, wait};
use crate::ovn::is_present;
use crate::servers::{Pki, Server};

fn tls_session(server: &Server, files: Option<northc::ovsdb::tls::TlsFiles>) -> Result<Session, Fault> {
    let mut options = options(&format!("ssl:127.0.0.1:{}", server.port()));
    options.tls = files;
    Session::start(options)
}

fn tls_failure(server: &Server, files: Option<northc::ovsdb::tls::TlsFiles>) -> TlsFailure {
    let fault = match tls_session(server, files) {
        Ok(session) => wait(session.schema()).expect_err("TLS must fail"),
        Err(fault) => fault,
    };
    assert_eq!(fault.remedy(), Remedy::Stop);
    match fault {
        Fault::Tls { failure, .. } => failure,
        other => panic!("no failure of TLS: {other}"),
    }
}

#[test]
fn tls_takes_the_right_certificate_and_says_what_is_wrong_with_others() {
    if !is_present() {
        return;
    }
    let pki = Pki::new();
    let server = pki.server("server");
    wait(async {
        let session = tls_session(&server, Some(pki.files("client", "ca"))).expect("files are right");
        session.transact(&[switch(1, "a")]).await.expect("written");
        assert_eq!(names(&session).await, ["a"]);
    });
    assert_eq!(tls_failure(&server, Some(pki.files("client", "other"))), TlsFailure::UnknownCa);
    assert_eq!(tls_failure(&server, None), TlsFailure::NotConfigured);
    for (name, reason) in [("stranger", "its CA does not know it"), ("late", "it has expired")] {
        let failure = tls_failure(&server, Some(pki.files(name, "ca")));
        assert_eq!(failure, TlsFailure::RefusedUs(reason.to_owned()), "{name}");
    }
    // A lab's server, whose certificate is its own CA.
    let lab = pki.server("ca");
    let own = tls_session(&lab, Some(pki.files("client", "ca"))).expect("files are right");
    wait(own.schema()).expect("the certificate is the CA's");
    assert_eq!(tls_failure(&pki.server("late"), Some(pki.files("client", "ca"))), TlsFailure::Expired);
    let missing = tls_failure(&server, Some(pki.files("nobody", "ca"))).to_string();
    assert!(missing.starts_with("the certificate `") && missing.contains("nobody.pem"), "{missing}");
    // A server that speaks no TLS.
    let plain = Server::alone(&["--remote=ptcp:0:127.0.0.1"]);
    let fault = wait(tls_session(&plain, Some(pki.files("client", "ca"))).expect("files").schema());
    assert!(fault.is_err());
}
