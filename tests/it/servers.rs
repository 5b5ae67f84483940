//! Real ovsdb-servers for tests: one alone, a cluster of three, with TLS; each in a directory of its
//! own, and gone when the test is.
//!
//! Refuses to check that the programs are there; `ovn::is_present` does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use northc::ovsdb::tls::TlsFiles;
use tempfile::TempDir;

use crate::ovn::wait_for;

/// The Northbound schema that OVN's package installs.
pub(crate) const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";

/// A process that ends with its owner.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed by the test already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One ovsdb-server, alone or a member of a cluster.
#[derive(Debug)]
pub(crate) struct Server {
    dir: PathBuf,
    name: String,
    extra: Vec<String>,
    /// How large its files may grow, in KiB: beyond, its disk is as good as full.
    kib_max: Option<u32>,
    process: Option<Process>,
    /// Only for a server alone: its directory ends with it.
    _owned: Option<TempDir>,
}

impl Server {
    /// A server of an empty Northbound database on a unix socket, with further options: remotes,
    /// TLS files.
    pub(crate) fn alone(extra: &[&str]) -> Server {
        Server::of_schema(SCHEMA, extra)
    }

    /// The same with another schema.
    pub(crate) fn of_schema(schema: &str, extra: &[&str]) -> Server {
        let owned = tempfile::tempdir().expect("a directory");
        let dir = owned.path().to_owned();
        run("ovsdb-tool", &["create", &path(&dir, "nb.db"), schema]);
        let extra = extra.iter().map(|&text| text.to_owned()).collect();
        let name = "nb".into();
        let mut server = Server { dir, name, extra, kib_max: None, process: None, _owned: Some(owned) };
        server.start();
        server
    }

    /// Starts it, or starts it again.
    pub(crate) fn start(&mut self) {
        let log = fs::File::create(self.path("log")).expect("a log file");
        let _ = fs::remove_file(self.path("sock"));
        let limit = self.kib_max.map_or(String::new(), |kib| format!("trap '' XFSZ; ulimit -f {kib}; "));
        let child = Command::new("bash")
            .args(["-c", &format!("{limit}exec ovsdb-server \"$@\""), "ovsdb-server"])
            .args(["--no-chdir", "-vconsole:info", "-vfile:off", "-vsyslog:off"])
            .arg(format!("--unixctl={}", self.path("ctl")))
            .arg(format!("--remote=punix:{}", self.path("sock")))
            .args(&self.extra)
            .arg(self.path("db"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("ovsdb-server starts");
        self.process = Some(Process(child));
        let ready = || std::os::unix::net::UnixStream::connect(self.path("sock")).is_ok();
        wait_for(&format!("ovsdb-server {} listens: {}", self.name, self.log()), ready);
    }

    /// Kills it without a last word.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on a full disk, or on one with room.
    pub(crate) fn restart_with(&mut self, kib_max: Option<u32>) {
        self.kill();
        self.kib_max = kib_max;
        self.start();
    }

    /// A copy of its database, as a backup has it.
    pub(crate) fn backup(&self) -> Vec<u8> {
        fs::read(self.path("db")).expect("its file")
    }

    /// Kills it and starts it with this copy, or with an empty database.
    pub(crate) fn restore(&mut self, backup: Option<&[u8]>) {
        self.kill();
        fs::remove_file(self.path("db")).expect("its file");
        match backup {
            Some(bytes) => fs::write(self.path("db"), bytes).expect("written"),
            None => drop(run("ovsdb-tool", &["create", &self.path("db"), SCHEMA])),
        }
        self.start();
    }

    /// Converts its database to another schema, while it runs.
    pub(crate) fn convert(&self, schema: &str) {
        run("ovsdb-client", &["convert", &self.remote(), schema]);
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").0.id()
    }

    /// Stops it where it is; [`Server::signal`] with `CONT` lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        run("kill", &[&format!("-{signal}"), &self.pid().to_string()]);
    }

    /// `unix:` and its socket.
    pub(crate) fn remote(&self) -> String {
        format!("unix:{}", self.path("sock"))
    }

    /// The port that it chose for its only `ptcp:0` or `pssl:0` remote.
    pub(crate) fn port(&self) -> u16 {
        let mut port = None;
        wait_for("ovsdb-server names its port", || {
            let log = self.log();
            let rest = log.split("listening on port ").nth(1);
            port = rest.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            port.is_some()
        });
        port.expect("waited for")
    }

    /// Runs a command of ovs-appctl in it.
    pub(crate) fn appctl(&self, command: &[&str]) -> String {
        let mut args = vec!["-t".to_owned(), self.path("ctl")];
        args.extend(command.iter().map(|&word| word.to_owned()));
        run("ovs-appctl", &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The comments of the transactions that it wrote to its log file, in order (ovsdb(5)).
    pub(crate) fn comments(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("db")).expect("its file");
        let records = log.lines().filter(|line| line.starts_with('{'));
        let records = records.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        records.filter_map(|record| Some(record["_comment"].as_str()?.to_owned())).collect()
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, ending: &str) -> String {
        path(&self.dir, &format!("{}.{ending}", self.name))
    }
}

/// A cluster of three members on unix sockets.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The members; the first one made the cluster.
    pub(crate) members: Vec<Server>,
    _dir: TempDir,
}

impl Cluster {
    /// Starts one and waits until everybody is in.
    pub(crate) fn start() -> Cluster {
        let owned = tempfile::tempdir().expect("a directory");
        let dir = owned.path().to_owned();
        let raft = |nth: usize| format!("unix:{}", path(&dir, &format!("m{nth}.raft")));
        let mut members = Vec::new();
        for nth in 0..3 {
            let db = path(&dir, &format!("m{nth}.db"));
            match nth {
                0 => run("ovsdb-tool", &["create-cluster", &db, SCHEMA, &raft(0)]),
                _ => run("ovsdb-tool", &["join-cluster", &db, "OVN_Northbound", &raft(nth), &raft(0)]),
            };
            let name = format!("m{nth}");
            let mut member = Server {
                dir: dir.clone(),
                name,
                extra: Vec::new(),
                kib_max: None,
                process: None,
                _owned: None,
            };
            member.start();
            members.push(member);
        }
        let cluster = Cluster { members, _dir: owned };
        wait_for("the cluster is whole", || {
            cluster.members.iter().all(|member| {
                let status = member.status();
                status.contains("Status: cluster member") && status.matches(" at unix:").count() == 3
            })
        });
        cluster
    }

    /// The remotes of all members, in this order.
    pub(crate) fn remotes(&self, order: [usize; 3]) -> String {
        order.map(|nth| self.members[nth].remote()).join(",")
    }

    /// The member that leads; waits until one does.
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        wait_for("somebody leads", || {
            let leads =
                |member: &Server| member.process.is_some() && member.status().contains("Role: leader");
            leader = self.members.iter().position(leads);
            leader.is_some()
        });
        leader.expect("waited for")
    }
}

impl Server {
    fn status(&self) -> String {
        self.appctl(&["cluster/status", "OVN_Northbound"])
    }
}

/// Certificates of one CA for a server and its clients, and of another that nobody trusts.
#[derive(Debug)]
pub(crate) struct Pki {
    dir: TempDir,
}

impl Pki {
    /// Makes them: `server`, `client`, `late` (expired), each signed by `ca`, and by `other` the
    /// certificate `stranger`.
    pub(crate) fn new() -> Pki {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = Pki { dir };
        fs::write(pki.file("ext"), "basicConstraints=CA:FALSE\n").expect("written");
        for ca in ["ca", "other"] {
            let (key, pem) = (pki.file(&format!("{ca}.key")), pki.file(&format!("{ca}.pem")));
            let subject = format!("/CN={ca}");
            let fixed = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
            let own = ["-days", "10", "-keyout", &key, "-out", &pem, "-subj", &subject];
            run("openssl", &[&fixed[..], &own[..]].concat());
        }
        for (name, ca, days) in [
            ("server", "ca", "10"),
            ("client", "ca", "10"),
            ("late", "ca", "-1"),
            ("stranger", "other", "10"),
        ] {
            pki.sign(name, ca, days);
        }
        pki
    }

    fn sign(&self, name: &str, ca: &str, days: &str) {
        let file = |name: &str, ending: &str| self.file(&format!("{name}.{ending}"));
        let (key, request, pem) = (file(name, "key"), file(name, "csr"), file(name, "pem"));
        let subject = format!("/CN={name}");
        let fixed = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let own = ["-keyout", &key, "-out", &request, "-subj", &subject];
        run("openssl", &[&fixed[..], &own[..]].concat());
        let (ca_key, ca_pem, ext) = (file(ca, "key"), file(ca, "pem"), self.file("ext"));
        let signed = ["-CA", &ca_pem, "-CAkey", &ca_key, "-CAcreateserial", "-days", days, "-extfile", &ext];
        run("openssl", &[&["x509", "-req", "-in", &request, "-out", &pem][..], &signed[..]].concat());
    }

    /// The files of one certificate with one CA.
    pub(crate) fn files(&self, name: &str, ca: &str) -> TlsFiles {
        let file = |name: &str, ending: &str| PathBuf::from(self.file(&format!("{name}.{ending}")));
        TlsFiles { private_key: file(name, "key"), certificate: file(name, "pem"), ca_cert: file(ca, "pem") }
    }

    /// A server with one certificate, which wants clients of the CA `ca`.
    pub(crate) fn server(&self, name: &str) -> Server {
        let TlsFiles { private_key, certificate, ca_cert } = self.files(name, "ca");
        Server::alone(&[
            "--remote=pssl:0:127.0.0.1",
            &format!("--private-key={}", private_key.display()),
            &format!("--certificate={}", certificate.display()),
            &format!("--ca-cert={}", ca_cert.display()),
        ])
    }

    fn file(&self, name: &str) -> String {
        path(self.dir.path(), name)
    }
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().expect("temporary directories have plain names").to_owned()
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("the program is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
