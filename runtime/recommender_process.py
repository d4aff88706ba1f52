"""The recommender process: models, and answers by them. The API asks it and answers without it where it is gone."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits
from uvicorn.supervisors import Multiprocess

from api.recommender import RecommenderState, create_recommender
from recommend.model import Model
from recommend.rules import Rules
from runtime.access import insist_on_secret
from runtime.caches import cache_dir
from runtime.children import die_with_parent
from runtime.commands import connected_settings
from runtime.connections import open_pool, open_signal_store
from runtime.limits import allow_open_files
from runtime.logs import set_up_logging
from runtime.process_metrics import keep_sampling, tell_build
from runtime.rules import load_rules
from runtime.settings import Settings
from runtime.tracing import start_tracing
from serving.current_model import CurrentModel
from serving.engine import Engine, warmed_up
from serving.profiles import Profiles
from serving.stocked import StockedModel
from store.catalog import CatalogStore
from store.models import ModelRegistry

_NAME = "footfall recommender"
_SHUTDOWN_S = 5
_START_S = 60


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; requests under way get their answers."""
    set_up_logging(settings.log_level, settings.log_format)
    allow_open_files()
    insist_on_secret(settings)
    app = _app(settings)
    if settings.recommender_processes == 1:
        uvicorn.Server(uvicorn.Config(app, **_serving(settings))).run()
        return
    with tempfile.TemporaryDirectory(prefix="footfall-metrics-") as folder:
        # Read by prometheus_client where it is imported, that is in the processes started now: they count together.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        config = uvicorn.Config("runtime.recommender_process:one_of_many", factory=True, **_serving(settings))
        Multiprocess(config, [config.bind_socket()]).run()


def one_of_many() -> ASGIApp:
    """The application of one of several processes that uvicorn runs on one socket."""
    die_with_parent(signal.SIGKILL)
    settings = connected_settings()
    set_up_logging(settings.log_level, settings.log_format)
    return _app(settings)


def _app(settings: Settings) -> ASGIApp:
    rules = load_rules(settings.rules_file)
    # Answers are made side by side: a product of small matrices that waits for a core for its second half takes
    # milliseconds in place of microseconds.
    threadpool_limits(1, "blas")
    secret = None if settings.recommender_secret is None else settings.recommender_secret.get_secret_value()
    app = create_recommender(lambda _app: open_engine(settings, rules), secret)
    return start_tracing("recommender", settings).app(app)


def _serving(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.recommender_host,
        "port": settings.recommender_port,
        "workers": settings.recommender_processes,
        "loop": "uvloop",
        "http": "httptools",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_graceful_shutdown": _SHUTDOWN_S,
        "timeout_worker_healthcheck": _START_S,
    }


@asynccontextmanager
async def open_engine(settings: Settings, rules: Rules) -> AsyncIterator[RecommenderState]:
    tell_build("recommender")
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, _NAME))
        signals = await stack.enter_async_context(open_signal_store(settings, pool, _NAME))
        catalog = CatalogStore(pool)
        models = CurrentModel(
            ModelRegistry(pool).served,
            lambda files: warmed_up(StockedModel(Model.from_folder(files), catalog, rules), rules),
            StockedModel.follow,
            cache_dir("models"),
        )
        engine = Engine(models, signals, Profiles(catalog), rules)
        beside = [
            asyncio.create_task(models.keep_following()),
            asyncio.create_task(keep_sampling({"recommender": pool})),
        ]
        yield {"recommend": engine.answer, "is_ready": models.has_followed}
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
