//! An ovsdb-server with an empty Northbound database, alone or as three members of a cluster.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Anything, process_time};

const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";

/// One that ends when dropped.
pub(crate) struct Server {
    members: Vec<Child>,
    /// The socket of the one that leads.
    pub(crate) socket: String,
    /// Where all members listen.
    pub(crate) remote: String,
    _dir: tempfile::TempDir,
}

impl Server {
    /// So many members: 1 or 3.
    pub(crate) fn start(n_members: usize) -> Anything<Server> {
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (mut members, mut remotes) = (Vec::new(), Vec::new());
        for nth in 0..n_members {
            let (db, socket) = (path(&format!("{nth}.db")), path(&format!("{nth}.sock")));
            let raft = |nth: usize| format!("unix:{}", path(&format!("{nth}.raft")));
            let args = match (n_members, nth) {
                (1, _) => vec!["create".into(), db.clone(), SCHEMA.into()],
                (_, 0) => vec!["create-cluster".into(), db.clone(), SCHEMA.into(), raft(0)],
                _ => vec!["join-cluster".into(), db.clone(), "OVN_Northbound".into(), raft(nth), raft(0)],
            };
            Command::new("ovsdb-tool").args(args).stderr(Stdio::null()).status()?;
            let ctl = format!("--unixctl={}", path(&format!("{nth}.ctl")));
            let server = Command::new("ovsdb-server")
                .args([&format!("--remote=punix:{socket}"), &ctl, &db])
                .stderr(Stdio::null())
                .spawn()?;
            members.push(server);
            while UnixStream::connect(&socket).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
            remotes.push(format!("unix:{socket}"));
        }
        for remote in remotes.iter().filter(|_| n_members > 1) {
            let args = ["wait", remote, "OVN_Northbound", "connected"];
            Command::new("ovsdb-client").args(args).stderr(Stdio::null()).status()?;
        }
        Ok(Server { members, socket: path("0.sock"), remote: remotes.join(","), _dir: dir })
    }

    /// Processor time of all members so far.
    pub(crate) fn time(&self) -> Anything<Duration> {
        self.members.iter().map(|member| process_time(member.id())).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for member in &mut self.members {
            // It may have ended by itself.
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}
