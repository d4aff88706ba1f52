"""How an import begins: anew, again, or where the last run was interrupted."""

from dataclasses import dataclass
from pathlib import Path

from domain.errors import InvalidInputError
from domain.week import from_us
from runtime.importing.state import ImportState
from runtime.importing.survey import Survey
from runtime.importing.time_mapping import TimeMapping


@dataclass(frozen=True, slots=True)
class Options:
    file: Path
    url: str
    format_name: str | None = None
    shift_to_now: bool = False
    span_us: int | None = None
    as_new: bool = False
    from_start: bool = False
    connections: int = 4
    retry_for_s: float = 300.0

    @property
    def shift(self) -> bool:
        return self.shift_to_now or self.span_us is not None


def begin(options: Options, survey: Survey, before: ImportState | None, now_us: int) -> tuple[ImportState, list[str]]:
    """The state to start from, and what to tell about it.

    Raises:
        InvalidInputError: the server would refuse the rows for their times, or they were imported at other times.

    """
    if before is None or options.as_new:
        return _first(options, survey, now_us), []
    mapping = before.mapping
    if options.shift and (mapping.shift, mapping.span_us) != (True, options.span_us):
        raise InvalidInputError(
            f"This file was imported before, {_how(mapping)}. The same command with those times changes nothing; "
            "--as-new imports the rows again at other times, as new events."
        )
    mapping.check(now_us, reused=True)
    told = []
    if mapping.shift:
        told.append(
            f"Using the times of the first import, {_how(mapping)}; --as-new imports the rows again, as new events."
        )
    state = ImportState(options.file.name, options.url, mapping, before.salt)
    if before.confirmed and not before.finished and not options.from_start:
        state.confirmed = before.confirmed
        told.append(f"Going on after {before.confirmed} confirmed rows; --from-start sends those again, too.")
    return state, told


def _first(options: Options, survey: Survey, now_us: int) -> ImportState:
    mapping = TimeMapping(
        anchor_us=now_us,
        first_us=now_us if survey.first_us is None else survey.first_us,
        last_us=now_us if survey.last_us is None else survey.last_us,
        shift=options.shift,
        span_us=options.span_us,
    )
    mapping.check(now_us, reused=False)
    salt = f"{now_us} {options.shift} {options.span_us}" if options.as_new else ""
    return ImportState(options.file.name, options.url, mapping, salt)


def _how(mapping: TimeMapping) -> str:
    if not mapping.shift:
        return "with the times in the file"
    ending = f"with the last row moved to {from_us(mapping.anchor_us).isoformat(timespec='seconds')}"
    if mapping.span_us is None:
        return ending
    return f"{ending} and all within {mapping.span_us / 86_400_000_000:g} days"
