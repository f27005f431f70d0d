"""Numbered events into a lake inside a virtual machine whose power is cut again and again.

    python3 xtask/checks/power_cut.py PROGRAM --cuts 20 [--control PROGRAM]

PROGRAM is the example `power_cut` of weft-lake, built for release. The machine is QEMU without
KVM, with Debian's cloud kernel, an initramfs made here and an ext4 disk; killing QEMU loses what
the guest had only in its memory, which is what a cut of the power loses. Everything that the guest
acknowledged on its serial line must be found by the next start, once. The control acknowledges
before it syncs: it has to lose, else the trial could not see a loss.
Prints one line for each; exits with 1 when something is lost or doubled, or the control loses nothing.
"""

import argparse
import glob
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

KERNEL_PACKAGE = "linux-image-cloud-amd64"
CACHE = pathlib.Path(os.environ.get("HOME", "/tmp"), ".cache/weft/vm")
MODULES = ["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"]
DISK_MEGABYTES = 512
BOOT_SECONDS_MAX = 180
# A cut falls at random within this time after the program is ready.
CUT_SECONDS = (0.3, 5.0)

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t tmpfs tmp /tmp
# Twice, because each may need one that comes later.
for pass in 1 2; do for module in {modules}; do /bin/busybox insmod /modules/$module.ko 2>/dev/null; done; done
/bin/busybox mount -t ext4 /dev/vda /disk || {{ echo "NO DISK"; /bin/busybox sleep 1000; }}
cd /tmp
/program /disk/lake {mode}
echo "PROGRAM ENDED $?"
/bin/busybox sleep 1000
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, **more)


def kernel():
    """Debian's kernel and its virtio modules, fetched once."""
    if not (CACHE / "ready").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        depends = run("apt-cache", "depends", KERNEL_PACKAGE, text=True).stdout
        package = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
        run("apt-get", "download", package, cwd=CACHE)
        run("dpkg-deb", "-x", glob.glob(str(CACHE / "*.deb"))[0], str(CACHE / "root"))
        (CACHE / "ready").touch()
    return glob.glob(str(CACHE / "root/boot/vmlinuz-*"))[0]


def initramfs(work, program, mode):
    root = work / "initramfs"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ["bin", "dev", "proc", "tmp", "disk", "modules"]:
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    run("strip", "-o", str(root / "program"), program)
    libraries = re.findall(r"(/\S+\.so\S*)", run("ldd", program, text=True).stdout)
    for library in libraries:
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(library), target)
    for module in MODULES:
        for found in glob.glob(str(CACHE / f"root/lib/modules/*/kernel/**/{module}.ko"), recursive=True):
            shutil.copy(found, root / "modules")
    init = root / "init"
    init.write_text(INIT.format(modules=" ".join(MODULES), mode=mode))
    init.chmod(0o755)
    archive = work / "initramfs.cpio"
    subprocess.run(f"find . | cpio --quiet -o -H newc > {archive}", shell=True, cwd=root, check=True)
    return archive


class Machine:
    """One start of the machine, until its power is cut."""

    def __init__(self, kernel_file, archive, disk):
        command = [
            "qemu-system-x86_64", "-accel", "tcg", "-m", "1024", "-nographic", "-no-reboot", "-net", "none",
            "-kernel", kernel_file, "-initrd", str(archive), "-append", "console=ttyS0 quiet loglevel=1 panic=-1 rdinit=/init",
            "-drive", f"file={disk},if=virtio,format=raw,cache=writeback",
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.acknowledged, self.found, self.rows, self.ledger, self.commits = [], None, None, None, 0
        self.ready, self.said = threading.Event(), []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for raw in self.process.stdout:
            # The firmware clears the screen without ending its line.
            line = re.sub(r"\x1b(c|\[[0-9;?]*[A-Za-z])", "", raw.decode(errors="replace")).strip()
            ranges = [(int(a), int(b)) for a, b in re.findall(r"(\d+)-(\d+)", line)]
            if line.startswith("ACK ") and len(ranges) == 1:
                self.acknowledged += ranges
            elif line.startswith("FOUND"):
                self.found = ranges
            elif line.startswith("ROWS "):
                self.rows = int(line.split()[1])
            elif line.startswith("LEDGER "):
                self.ledger = line.removeprefix("LEDGER ")
            elif line == "COMMIT":
                self.commits += 1
            elif line == "READY":
                self.ready.set()
            else:
                self.said.append(line)

    def wait_ready(self):
        until = time.monotonic() + BOOT_SECONDS_MAX
        while not self.ready.wait(0.1):
            if time.monotonic() > until or self.process.poll() is not None:
                self.cut()
                sys.exit("the machine did not come up: " + " | ".join(self.said[-15:]))

    def cut(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


def numbers(ranges):
    found = set()
    for first, last in ranges or []:
        found.update(range(first, last + 1))
    return found


def trial(program, mode, cuts, dice, kernel_file):
    work = pathlib.Path(tempfile.mkdtemp(prefix="weft-power-"))
    try:
        disk = work / "disk.img"
        with open(disk, "wb") as file:
            file.truncate(DISK_MEGABYTES << 20)
        run("mkfs.ext4", "-q", "-F", str(disk))
        archive = initramfs(work, program, mode)
        lost = doubled = commits = unbalanced = 0
        acknowledged = set()
        begun = time.monotonic()
        for cut in range(cuts + 1):
            machine = Machine(kernel_file, archive, disk)
            machine.wait_ready()
            there = numbers(machine.found)
            lost += len(acknowledged - there)
            doubled += machine.rows - len(there)
            unbalanced += machine.ledger not in (None, "balances")
            acknowledged &= there
            if cut < cuts:
                time.sleep(dice.uniform(*CUT_SECONDS))
            machine.cut()
            acknowledged |= numbers(machine.acknowledged)
            commits += machine.commits
        seconds = time.monotonic() - begun
        print(
            f"{mode or 'trial'}: {cuts} power cuts, {len(acknowledged)} events acknowledged, {commits} commits: "
            f"lost {lost}, doubled {doubled}, ledgers that did not balance {unbalanced}; {seconds:.0f} s",
            flush=True,
        )
        return lost, doubled + unbalanced
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("--control", help="the same, built with the feature acknowledge-before-sync")
    arguments.add_argument("--cuts", type=int, default=20)
    arguments.add_argument("--control-cuts", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    dice, kernel_file = random.Random(given.seed), kernel()
    lost, doubled = trial(given.program, "", given.cuts, dice, kernel_file)
    control = trial(given.control, "control", given.control_cuts, dice, kernel_file)[0] if given.control else None
    sys.exit(1 if lost or doubled or control == 0 else 0)


if __name__ == "__main__":
    main()
