"""`consilium`: every command of the program, each one line of help."""

import argparse
import asyncio
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.adapters.eraser_process import EraserProcess, serve_eraser
from bot.adapters.logs import configure_logs
from bot.adapters.report.verify import verify
from bot.config import Process, load_config, read_secret
from bot.domain.errors import ConfigError, ConsiliumError, StartRefused
from bot.domain.steps import diagram


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="consilium", description="Second opinions between physicians, on Matrix.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *, config: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        if config:
            one.add_argument("-c", "--config", type=Path, default=Path("config.yaml"), help="the configuration file")
        return one

    command("run", "run the bot against the hospital's homeserver")
    command("eraser", "run the eraser, which alone may delete on the homeserver")
    demo = command("demo", "play the main story on a homeserver of its own, and show each step", config=False)
    demo.add_argument("--out", type=Path, default=Path("demo-out"), help="the folder that is replaced at the end")
    lab = command(
        "lab", "keep a homeserver, the bot, the eraser and a mail catcher up, to try with Element", config=False
    )
    lab.add_argument("--dir", type=Path, required=True, help="the folder that holds everything")
    lab.add_argument("--port", type=int, help="the homeserver's port (default: a free one)")
    lab.add_argument("--physicians", type=Path, help="a table of physicians (default: four made-up ones)")
    command("check", "look at the configuration and everything around it; say what to do")
    admin = command("admin", "make an admin: compares the fingerprint by voice, shows the second factor")
    admin.add_argument("action", choices=["add"])
    admin.add_argument("user", help="the Matrix id")
    admin.add_argument("--name", required=True)
    admin.add_argument("--email")
    admin.add_argument("--language", choices=["fr", "nl", "de", "en"], default="fr")
    physicians = command("physicians", "import a table, print a second factor for the desk, or list")
    inner = physicians.add_subparsers(dest="action", required=True)
    inner.add_parser("import", help="approve everybody of a table beforehand").add_argument("table", type=Path)
    enrol = inner.add_parser("enrol", help="print the second factor of an approved person")
    enrol.add_argument("user")
    enrol.add_argument("--print", action="store_true", required=True, help="print it: there is no other way")
    inner.add_parser("list", help="who is known")
    staff = command("staff", "approve coordinators and auditors, or list staff")
    of_staff = staff.add_subparsers(dest="action", required=True)
    add = of_staff.add_parser("add", help="approve a member of staff, print the second factor")
    add.add_argument("user")
    add.add_argument("--name", required=True)
    add.add_argument("--roles", required=True, help="coordinator, auditor (with commas)")
    add.add_argument("--lines", default="", help="the lines of a coordinator (with commas)")
    of_staff.add_parser("list", help="who is known")
    check = command("verify", "check a signed opinion, and files it rests on", config=False)
    check.add_argument("opinion", type=Path)
    check.add_argument("files", type=Path, nargs="*", help="documents whose hash should stand in the opinion")
    check.add_argument("--root", type=Path, help="the hospital's authority (PEM)")
    check.add_argument("-c", "--config", type=Path, help="or the configuration whose authority counts")
    audit = command("audit", "show the newest rows of the audit chain, and check the whole chain")
    audit.add_argument("--rows", type=int, default=50)
    command("authority", "print the hospital's signing authority as PEM")
    paper = command("certificate", "write the certificate of an erased case as a sealed PDF")
    paper.add_argument("case", help="the case number")
    paper.add_argument("pdf", type=Path, help="the file to write")
    command("lines", "read the line files and say every mistake", config=False).add_argument(
        "folder", type=Path, nargs="?"
    )
    command("states", "print the table of a case's life as a diagram", config=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exit 0 if it did what was asked, 1 with one line if not, 2 for a wrong call."""
    # No memory image of this process is ever written to a disk: it would hold keys and open cases.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    args = _parser().parse_args(arguments)
    try:
        done = asyncio.run(_run(args))
    except ConfigError as error:
        sys.exit(_refused(str(error)))
    except StartRefused as error:
        sys.exit(_refused(f"{error} [{error.code}]"))
    except ConsiliumError as error:
        sys.exit(_refused(str(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if done else 1)


def _refused(text: str) -> int:
    sys.stderr.write("".join(f"consilium: {line}\n" for line in text.splitlines()))
    return 1


async def _run(args: argparse.Namespace) -> bool:
    match args.command:
        case "states":
            sys.stdout.write(diagram() + "\n")
            return True
        case "lines":
            return _lines(args.folder)
        case "verify":
            return await _verify(args)
        case "demo":
            from bot.lab.demo import demo

            return await demo(args.out)
        case "lab":
            from bot.lab.lab import lab

            return await lab(args.dir, port=args.port, table=args.physicians)
        case "eraser":
            return await _eraser(args.config)
        case "run":
            return await _bot(args.config)
    return await _on_host(args)


async def _on_host(args: argparse.Namespace) -> bool:
    from bot import host, surroundings

    config = load_config(args.config)
    match args.command, getattr(args, "action", None):
        case "check", _:
            return await surroundings.check(config)
        case "admin", _:
            await host.add_admin(config, args.user, args.name, args.email, args.language, ask=input)
        case "physicians", "import":
            sys.stdout.write(f"{await host.import_people(config, args.table)} people approved\n")
        case "physicians", "enrol":
            await host.enrol(config, args.user)
        case "physicians" | "staff", "list":
            await host.list_people(config, staff=args.command == "staff")
        case "staff", "add":
            roles, lines = (tuple(filter(None, text.split(","))) for text in (args.roles, args.lines))
            await host.add_staff(config, args.user, args.name, roles, lines)
        case "audit", _:
            return await host.show_audit(config, args.rows)
        case "authority", _:
            sys.stdout.write((await host.roots(config)).decode())
        case "certificate", _:
            await asyncio.to_thread(args.pdf.write_bytes, await host.certificate(config, args.case))
    return True


async def _bot(path: Path) -> bool:
    from bot.wiring import Bot

    configure_logs()
    bot = Bot(load_config(path))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, bot.stop)
    await bot.run()
    return True


async def _eraser(path: Path) -> bool:
    configure_logs()
    config = load_config(path, process=Process.ERASER)
    if config.eraser is None:
        raise ConfigError("eraser: this section is missing from the configuration")
    await serve_eraser(
        EraserProcess(
            folder=config.eraser.folder,
            homeserver_url=config.eraser.url or config.homeserver.url,
            admin_token=read_secret(config.eraser.admin_token_file),
            bot_user_id=config.homeserver.user_id,
        )
    )
    return True


def _lines(folder: Path | None) -> bool:
    from specialties import load

    for line in load(folder):
        sys.stdout.write(f"{line.id}: {len(line.form.fields)} fields, {len(line.decisions)} decisions\n")
    return True


async def _verify(args: argparse.Namespace) -> bool:
    """Check a PDF; nothing of what it says is shown as true unless every check holds."""
    import hashlib

    if args.root is not None:
        root = await asyncio.to_thread(_read, args.root)
    elif args.config is not None:
        from bot import host

        root = await host.roots(load_config(args.config))
    else:
        raise ConfigError("verify: give the hospital's authority with --root, or a configuration with -c")
    pdf = await asyncio.to_thread(_read, args.opinion)
    files = {path: await asyncio.to_thread(_read, path) for path in args.files}
    try:
        # Not on the event loop: the verifier runs one of its own.
        found = await asyncio.to_thread(verify, pdf, [root])
    except ValueError:
        raise ConfigError(f"{args.root or args.config}: no certificate of an authority") from None
    out = sys.stdout.write
    for one in found.signatures:
        who = f"{one.name} (INAMI {one.inami})" if one.inami else f"{one.name} (seal)"
        at = one.signed_at.isoformat() if one.signed_at else "?"
        out(f"{'good' if one.is_good else 'BAD '}  {who}, {at}\n")
    for problem in found.problems:
        out(f"BAD   {problem}\n")
    known = {document.sha256: document.n for document in found.documents}
    files_fit = True
    for path, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        fits = found.ok and digest in known
        files_fit = files_fit and fits
        out(
            f"{'good' if fits else 'BAD '}  {path}: "
            + (f"document {known[digest]}\n" if digest in known else "not in the opinion\n")
        )
    out(
        f"{args.opinion}: "
        + (f"{found.case_id}, version {found.version}: unchanged and sealed\n" if found.ok else "NOT VALID\n")
    )
    return found.ok and files_fit


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None


if __name__ == "__main__":
    main()
