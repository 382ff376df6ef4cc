//! The processes of one API server: one with etcd inside, or a released one and its etcd.

use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::program::Program;

/// Running (or killed) processes. Dropping them kills them.
pub(super) struct Processes {
    program: Program,
    folder: PathBuf,
    flags: Vec<String>,
    server: Child,
    etcd: Option<Child>,
}

impl Processes {
    /// Starts them in the network namespace of the calling thread; data and log go into `folder`.
    pub(super) fn start(program: Program, folder: &Path, flags: &[String]) -> io::Result<Self> {
        let (server, etcd) = spawn(&program, folder, flags)?;
        let (folder, flags) = (folder.to_owned(), flags.to_vec());
        Ok(Self { program, folder, flags, server, etcd })
    }

    pub(super) fn start_again(&mut self) -> io::Result<()> {
        self.kill();
        (self.server, self.etcd) = spawn(&self.program, &self.folder, &self.flags)?;
        Ok(())
    }

    /// The API server's process.
    pub(super) fn pid(&self) -> u32 {
        self.server.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.server.try_wait(), Ok(None))
    }

    pub(super) fn kill(&mut self) {
        for child in [&mut self.server].into_iter().chain(self.etcd.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(program: &Program, folder: &Path, flags: &[String]) -> io::Result<(Child, Option<Child>)> {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let data = folder.join("etcd");
    match program {
        Program::Whole(path) => {
            let mut server = Command::new(path);
            // Its standard input ends when this process does, however that comes about.
            server.env("ETCD_DATA_DIR", data).env("STOP_WITH_STDIN", "1").args(flags);
            server.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
            Ok((server.spawn()?, None))
        }
        Program::Released { server, etcd } => {
            let endpoint = format!("http://127.0.0.1:{}", free_port()?);
            let peer = format!("http://127.0.0.1:{}", free_port()?);
            let mut store = Command::new(etcd);
            store.arg("--data-dir").arg(data).arg("--unsafe-no-fsync");
            for (flag, url) in [("client", &endpoint), ("peer", &peer)] {
                store.args([format!("--listen-{flag}-urls"), url.clone()]);
            }
            store.args(["--advertise-client-urls", &endpoint]);
            store.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
            let mut store = store.spawn()?;
            let mut command = Command::new(server);
            command.arg(format!("--etcd-servers={endpoint}")).args(flags);
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            match command.spawn() {
                Ok(server) => Ok((server, Some(store))),
                Err(error) => {
                    let _ = store.kill();
                    let _ = store.wait();
                    Err(error)
                }
            }
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
