"""The HTTP limit: FastAPI that validates the body and answers 202, one process, nothing behind it; and answers a GET
with the bytes of a file: PORT [FILE].
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from api.parsing import INTERACTIONS
from intake.ledger import now_us

app = FastAPI()
_prepared = Path(sys.argv[2]).read_bytes() if len(sys.argv) > 2 else b"{}"


@app.post("/interaction", status_code=202)
async def answer(request: Request) -> Response:
    INTERACTIONS.parse(await request.body(), now_us())
    return Response(b"{}", 202, media_type="application/json")


@app.get("/popularity/top")
async def prepared() -> Response:
    return Response(_prepared, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
