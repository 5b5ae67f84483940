#!/usr/bin/env python3
"""The same ports into an empty database, by northc and by what people use otherwise.

Each way gets a server of its own, standalone or three members of a cluster, and all ways take turns, so that
what else the machine does hits them alike. A port is three commands: lsp-add, lsp-set-addresses,
lsp-set-port-security. northc reads YAML, plans, writes and reads back, and writes routers and DHCP options
beside the ports. What would take hours is measured on a sample at an empty and at a full database, and the
mean of both is multiplied: such lines say "extrapolated". Beside the clock stands the processor time of clients
and servers together, which is what the ratio is of: the clock is the neighbours' on a machine that has any.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

SCHEMA = "/usr/share/ovn/ovn-nb.ovsschema"
PORTS_PER_SWITCH = 50
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def run(*args, env=None):
    subprocess.run(args, check=True, env=env, stdout=subprocess.DEVNULL)


class Server:
    """ovsdb-server, alone or as three members of a cluster, in a folder that goes with it."""

    def __init__(self, cluster):
        self.dir = tempfile.TemporaryDirectory()
        self.members = []
        names = ["1", "2", "3"] if cluster else ["alone"]
        for name in names:
            db, raft = self.path(f"{name}.db"), f"unix:{self.path(name)}.raft"
            if not cluster:
                run("ovsdb-tool", "create", db, SCHEMA)
            elif name == "1":
                run("ovsdb-tool", "create-cluster", db, SCHEMA, raft)
            else:
                run("ovsdb-tool", "join-cluster", db, "OVN_Northbound", raft, f"unix:{self.path('1')}.raft")
            socket = self.path(f"{name}.sock")
            self.members.append(subprocess.Popen(
                ["ovsdb-server", f"--remote=punix:{socket}", f"--unixctl={self.path(name)}.ctl", db], **QUIET))
            while not os.path.exists(socket):
                time.sleep(0.01)
        if cluster:
            for name in names:
                run("ovsdb-client", "wait", f"unix:{self.path(name)}.sock", "OVN_Northbound", "connected")
        self.remote = ",".join(f"unix:{self.path(name)}.sock" for name in names)
        self.env = dict(os.environ, OVN_NB_DB=self.remote, OVS_RUNDIR=self.dir.name, OVN_RUNDIR=self.dir.name)

    def time(self):
        """Processor time of all members, and of a daemon of ovn-nbctl, so far."""
        pids = [member.pid for member in self.members]
        pidfile = self.path("ovn-nbctl.pid")
        if os.path.exists(pidfile):
            pids.append(int(pathlib.Path(pidfile).read_text(encoding="utf-8")))
        return sum(processor_time(pid) for pid in pids)

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.kill()
            member.wait()
        self.dir.cleanup()


def switches(n_ports):
    return [f"sw{s}" for s in range((n_ports + PORTS_PER_SWITCH - 1) // PORTS_PER_SWITCH)]


def port(p):
    """Switch, name and addresses."""
    s = p // PORTS_PER_SWITCH
    address = f"02:00:00:{p >> 16:02x}:{p >> 8 & 255:02x}:{p & 255:02x} 10.{s >> 8}.{s & 255}.{p % PORTS_PER_SWITCH + 2}"
    return f"sw{s}", f"port-{p}", address


def commands(p):
    switch, name, address = port(p)
    return [["lsp-add", switch, name], ["lsp-set-addresses", name, address], ["lsp-set-port-security", name, address]]


def world(n_ports):
    """The same ports in northc's own kinds."""
    out = ["apiVersion: northc.io/v1alpha1\nkind: Vpc\nmetadata: {name: peers}\n"]
    for s, switch in enumerate(switches(n_ports)):
        out.append(f"apiVersion: northc.io/v1alpha1\nkind: Subnet\nmetadata: {{name: {switch}}}\n"
                   f"spec: {{vpc: peers, cidrs: 10.{s >> 8}.{s & 255}.0/24}}\n")
    for p in range(n_ports):
        switch, name, address = port(p)
        mac, ip = address.split()
        out.append(f"apiVersion: northc.io/v1alpha1\nkind: NetworkInterface\nmetadata: {{name: {name}}}\n"
                   f"spec: {{subnet: {switch}, mac: '{mac}', addresses: {ip}}}\n")
    return "---\n".join(out)


def nbctl(server, *args, env=None):
    run("ovn-nbctl", *args, env=env or server.env)


def add_switches(server, n_ports):
    chain = []
    for switch in switches(n_ports):
        chain += ["--", "ls-add", switch]
    nbctl(server, *chain[1:])


def chained(server, ports, per_call, env=None):
    """One `--` chain for so many ports."""
    for first in range(0, len(ports), per_call):
        chain = []
        for p in ports[first:first + per_call]:
            for command in commands(p):
                chain += ["--", *command]
        nbctl(server, *chain[1:], env=env)


def daemon(server):
    """The environment in which ovn-nbctl asks its daemon."""
    out = subprocess.run(["ovn-nbctl", "--pidfile", "--detach"], check=True, env=server.env, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    return dict(server.env, OVN_NB_DAEMON=out.stdout.strip())


def stop(env):
    subprocess.run(["ovn-appctl", "-t", env["OVN_NB_DAEMON"], "exit"], env=env, **QUIET)


def processor_time(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cost(tuple):
    """Seconds by the clock, and of processors."""

    def __add__(self, other):
        return Cost(a + b for a, b in zip(self, other))

    def __mul__(self, factor):
        return Cost(a * factor for a in self)


def cost(server, work):
    def now():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.monotonic(), children.ru_utime + children.ru_stime + server.time()

    before = now()
    work()
    return Cost(after - before for after, before in zip(now(), before))


class Ways:
    """Each returns seconds for `n` ports."""

    def __init__(self, args, files):
        self.args, self.files = args, files

    def northc(self, server):
        apply = [self.args.northc, "apply", "--no-verify", "--quiet", "--yes", "--wait", "none", "--db", server.remote,
                 "--allow", "N0320", self.files["world"]]
        return cost(server, lambda: run(*apply))

    def nbctl_chained(self, server):
        add_switches(server, self.args.ports)
        return cost(server, lambda: chained(server, range(self.args.ports), 3000))

    def nbctl_daemon_chained(self, server):
        env = daemon(server)
        add_switches(server, self.args.ports)
        took = cost(server, lambda: chained(server, range(self.args.ports), 500, env))
        stop(env)
        return took

    def sampled(self, server, each):
        """The mean of a sample at an empty and at a full database, for all ports."""
        n, k = self.args.ports, self.args.sample
        add_switches(server, n)
        empty = cost(server, lambda: [each(p) for p in range(k)])
        self.fill(server, range(k, n - k))
        full = cost(server, lambda: [each(p) for p in range(n - k, n)])
        return (empty + full) * (n / 2 / k)

    def fill(self, server, ports):
        """With another's help: only what is there matters."""
        ovsdbapp(self.args.python, server.remote, ports[0], ports[-1] + 1)

    def nbctl_process_a_command(self, server):
        return self.sampled(server, lambda p: [nbctl(server, *command) for command in commands(p)])

    def nbctl_daemon_process_a_command(self, server):
        env = daemon(server)
        took = self.sampled(server, lambda p: [nbctl(server, *command, env=env) for command in commands(p)])
        stop(env)
        return took

    def ovsdbapp_1000(self, server):
        """Without what Python takes to start and to connect."""
        add_switches(server, self.args.ports)
        before = server.time()
        clock, client = ovsdbapp(self.args.python, server.remote, 0, self.args.ports)
        return Cost((clock, client + server.time() - before))


def ovsdbapp(python, remote, first, last):
    """Seconds in transactions, and the client's processor time."""
    args = [python, __file__, "--ovsdbapp", remote, str(first), str(last)]
    return map(float, subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True).stdout.split())


def ovsdbapp_main(remote, first, last):
    """1,000 ports in each transaction, as fast as ovsdbapp goes."""
    from ovsdbapp.backend.ovs_idl import connection
    from ovsdbapp.schema.ovn_northbound import impl_idl

    idl = connection.OvsdbIdl.from_server(remote, "OVN_Northbound")
    api = impl_idl.OvnNbApiIdlImpl(connection.Connection(idl, timeout=600))
    began = time.monotonic(), time.process_time()
    for start in range(first, last, 1000):
        with api.transaction(check_error=True) as txn:
            for p in range(start, min(start + 1000, last)):
                switch, name, address = port(p)
                txn.add(api.lsp_add(switch, name, addresses=[address], port_security=[address]))
    print(time.monotonic() - began[0], time.process_time() - began[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--northc", default="target/release/northc")
    parser.add_argument("--python", default=sys.executable, help="one that has ovsdbapp")
    parser.add_argument("--ports", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sample", type=int, default=20, help="ports of a sample, at each end")
    parser.add_argument("--cluster", action="store_true", help="three members instead of one server")
    parser.add_argument("--ways", help="only these, with commas between")
    parser.add_argument("--out", default="target/bench/peers.csv")
    args = parser.parse_args()
    names = args.ways.split(",") if args.ways else [
        "northc", "ovsdbapp_1000", "nbctl_chained", "nbctl_daemon_chained", "nbctl_daemon_process_a_command",
        "nbctl_process_a_command"]
    took = {name: [] for name in names}
    kind = "cluster" if args.cluster else "standalone"
    pathlib.Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open(args.out, "a", encoding="utf-8") as raw:
        files = {"world": os.path.join(folder, "world.yaml")}
        pathlib.Path(files["world"]).write_text(world(args.ports), encoding="utf-8")
        ways = Ways(args, files)
        for nth in range(args.runs):
            for name in names:
                if "process" in name and nth > 0:
                    continue
                with Server(args.cluster) as server:
                    took[name].append(getattr(ways, name)(server))
                clock, cpu = took[name][-1]
                print(f"{kind},{args.ports},{name},{clock:.4f},{cpu:.4f}", file=raw, flush=True)
                print(f"{name}: {clock:.2f} s, {cpu:.2f} s of processors", file=sys.stderr, flush=True)
    median = {name: [statistics.median(column) for column in zip(*costs)] for name, costs in took.items()}
    print(f"| {args.ports} ports, {kind} | clock, median | processors, median | least | most | by northc's |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, costs in took.items():
        says = name.replace("_", " ") + (" (extrapolated)" if "process" in name else "")
        clock, cpu = median[name]
        ratio = f"{cpu / median['northc'][1]:.0f} ×" if "northc" in median else ""
        least, most = min(cpu for _, cpu in costs), max(cpu for _, cpu in costs)
        print(f"| {says} | {clock:.2f} s | {cpu:.2f} s | {least:.2f} s | {most:.2f} s | {ratio} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ovsdbapp"]:
        ovsdbapp_main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
