"""How each kind of fault is done, and undone."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.faults.clocks import SEEN_AFTER_S
from tests.faults.load import Load
from tests.faults.schedule import Fault
from tests.faults.system import System

_SLOW_S = 0.05
_LOST_ANSWERS = 4
_DAY_S = 86_400


async def apply(system: System, load: Load, fault: Fault) -> None:
    """Waits for the fault's moment, and returns when it is over; servers that it killed are back then."""
    await asyncio.sleep(fault.at_s)
    await APPLY[fault.kind](system, load, fault)


async def _kill(system: System, _: Load, fault: Fault) -> None:
    system.kill(fault.target)
    await asyncio.sleep(fault.lasts_s)
    system.revive()


async def _freeze(system: System, _: Load, fault: Fault) -> None:
    system.suspend(fault.target)
    await asyncio.sleep(fault.lasts_s)
    system.resume(fault.target)


async def _restart_postgres(system: System, _: Load, _fault: Fault) -> None:
    system.restart_postgres()


async def _cut(system: System, _: Load, _fault: Fault) -> None:
    system.link.cut()


async def _lose_answers(system: System, _: Load, fault: Fault) -> None:
    """Those that are left when the load ends are not lost: the link is healed then."""
    system.link.lose_answers(fault.target, _LOST_ANSWERS)


async def _slow(system: System, _: Load, fault: Fault) -> None:
    system.link.slow(_SLOW_S)
    await asyncio.sleep(fault.lasts_s)
    system.link.slow(0)


async def _temporal_away(system: System, _: Load, fault: Fault) -> None:
    system.stop_temporal()
    await asyncio.sleep(fault.lasts_s)
    system.revive()


async def _temporal_wiped(system: System, _: Load, _fault: Fault) -> None:
    system.wipe_temporal()


async def _hang_up(_: System, load: Load, fault: Fault) -> None:
    load.hang_up_share = 0.5
    await asyncio.sleep(fault.lasts_s)
    load.hang_up_share = 0.0


async def _fill_disk(system: System, _: Load, fault: Fault) -> None:
    system.disk.fill()
    await asyncio.sleep(fault.lasts_s)
    system.disk.empty()
    system.revive()


async def _clock_ahead(system: System, _: Load, fault: Fault) -> None:
    await _step_clock(system, fault, _DAY_S)


async def _clock_behind(system: System, _: Load, fault: Fault) -> None:
    await _step_clock(system, fault, -_DAY_S)


async def _step_clock(system: System, fault: Fault, by_s: int) -> None:
    """And back again, which is a step too."""
    system.clocks.step(fault.target, by_s)
    await asyncio.sleep(fault.lasts_s)
    system.clocks.step(fault.target, 0)
    await asyncio.sleep(SEEN_AFTER_S)


APPLY: dict[str, Callable[[System, Load, Fault], Awaitable[None]]] = {
    "kill": _kill,
    "freeze": _freeze,
    "restart PostgreSQL": _restart_postgres,
    "cut connections": _cut,
    "lose answers": _lose_answers,
    "slow network": _slow,
    "Temporal away": _temporal_away,
    "Temporal wiped": _temporal_wiped,
    "clients hang up": _hang_up,
    "full disk": _fill_disk,
    "clock ahead": _clock_ahead,
    "clock behind": _clock_behind,
}
