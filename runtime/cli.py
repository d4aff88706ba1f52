"""The command line: `footfall up | api | worker | migrate | fan-outs | experiments | rebuild | verify | …`."""

import asyncio
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer
from rich.table import Table

from domain.errors import FootfallError
from runtime.caches import keep_compiled_loops
from runtime.commands import INTERRUPTED, connected_settings, console, errors, leave
from runtime.commands import settings as read_settings
from runtime.demo import demo
from runtime.erasure_command import erase, export
from runtime.experiments_command import app as experiments
from runtime.fan_outs_command import app as fan_outs
from runtime.importing.command import import_file
from runtime.keys_command import app as keys
from runtime.logs import redacted
from runtime.models_command import app as models
from runtime.models_command import train
from runtime.publish_command import publish
from runtime.quarantine_command import app as quarantine
from runtime.rebuild import rebuild_app, verify
from runtime.settings_page import describe_settings

app = typer.Typer(
    name="footfall",
    help="Records what people do in a shop, once, and turns it into what the shop reads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        console.print(f"footfall {installed_version('footfall')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    del version
    keep_compiled_loops()


@app.command()
def up() -> None:
    """Run everything on this machine: PostgreSQL, Temporal with its UI, worker and API, until Ctrl-C."""
    from domain.event_names import load_event_names  # noqa: PLC0415
    from runtime.logs import set_up_logging  # noqa: PLC0415  (each command loads what it needs)
    from runtime.rules import load_rules  # noqa: PLC0415
    from runtime.up import Stack  # noqa: PLC0415

    settings = read_settings()
    load_rules(settings.rules_file)
    load_event_names(settings.event_names, settings.event_names_file)
    set_up_logging("warning")
    Stack(settings, console).run()


@app.command()
def api() -> None:
    """Run one API process, with the PostgreSQL and Temporal of the settings or of a running `footfall up`."""
    from runtime import api_process  # noqa: PLC0415

    api_process.run(connected_settings())


@app.command()
def worker() -> None:
    """Run one worker process, likewise."""
    from runtime import worker_process  # noqa: PLC0415

    worker_process.run(connected_settings())


@app.command()
def recommender() -> None:
    """Run one recommender process, likewise; the API asks it at FOOTFALL_RECOMMENDER_URL."""
    from runtime import recommender_process  # noqa: PLC0415

    recommender_process.run(connected_settings())


@app.command()
def grpc() -> None:
    """Run one gRPC process, likewise: what clients of BharatML's interaction store speak."""
    from runtime import grpc_process  # noqa: PLC0415

    grpc_process.run(connected_settings())


@app.command()
def consume() -> None:
    """Run one consumer process, which reads topics of Kafka into the intake: FOOTFALL_KAFKA_TOPICS."""
    from runtime import consume_process  # noqa: PLC0415

    consume_process.run(connected_settings())
    leave(0)


@app.command()
def migrate() -> None:
    """Bring the tables of the databases, and the search attributes of Temporal, up to date."""
    from runtime.migrate import migrate_all  # noqa: PLC0415

    applied = asyncio.run(migrate_all(connected_settings()))
    for name in applied:
        console.print(f"applied {name}", highlight=False)
    if not applied:
        console.print("nothing to apply: everything is up to date", highlight=False)
    leave(0)


blocks = typer.Typer(help="The blocks that interactions are kept in.", no_args_is_help=True)
app.add_typer(blocks, name="blocks")


@blocks.command("inspect")
def inspect_blocks(account_id: Annotated[str, typer.Argument(help="As the app sent it.")]) -> None:
    """Show an account's blocks, weeks and sizes; the last column is how much larger the same would be as JSON."""
    from runtime.blocks import inspect  # noqa: PLC0415

    asyncio.run(inspect(connected_settings(), account_id, console))


@blocks.command("compact")
def compact_blocks(
    weeks: Annotated[int, typer.Option(min=0, max=24, help="How many weeks back to look; 0: this week only.")] = 24,
    events_per_s: Annotated[
        int | None, typer.Option(min=1, help="The pace. [default: FOOTFALL_COMPACT_EVENTS_PER_S of the worker]")
    ] = None,
) -> None:
    """Fold small blocks into sealed ones now, in a workflow; a worker does this every hour anyway."""
    from runtime.blocks import compact, print_result  # noqa: PLC0415

    settings = connected_settings()
    done = asyncio.run(compact(settings, console, weeks_back=weeks, events_a_second=events_per_s))
    print_result(done, console)
    leave(1 if done.unreadable else 0)


app.add_typer(fan_outs, name="fan-outs")
app.add_typer(quarantine, name="quarantine")
app.add_typer(experiments, name="experiments")
app.add_typer(rebuild_app, name="rebuild")
app.add_typer(models, name="models")
app.add_typer(keys, name="keys")
app.command()(train)
app.command()(verify)
app.command("import")(import_file)
app.command()(demo)
app.command()(erase)
app.command()(export)
app.command()(publish)


@app.command("settings")
def show_settings() -> None:
    """List every setting: its environment variable, default and meaning."""
    table = Table("variable", "default", "meaning")
    for setting in describe_settings():
        table.add_row(setting.variable, setting.default, setting.meaning)
    console.print(table)


def main() -> None:
    try:
        app()
    except FootfallError as error:
        errors.print(redacted(str(error)), style="red", highlight=False, markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
