"""What protoc made is committed, and is what it makes now; and what we have is what clients have."""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2, status_pb2

from doors.bharatml import interaction_store_pb2 as ours
from doors.bharatml import rich_status_pb2 as rich
from tests.doors.bharatml.client import message
from tests.doors.bharatml.generate import PROTOS, ROOT, generate


def test_what_is_committed_is_what_is_generated(tmp_path: Path) -> None:
    generate(tmp_path)
    made = [one.relative_to(tmp_path) for one in tmp_path.rglob("*_pb2.*")]
    assert len(made) == 2 * len(PROTOS)
    for one in made:
        assert (ROOT / one).read_text() == (tmp_path / one).read_text(), f"{one}: run tests.doors.bharatml.generate"


def _described(file: Any) -> FileDescriptorProto:
    """Without what is not on the wire: the file's name, and names in JSON, which protoc leaves out of Python."""
    described = FileDescriptorProto()
    file.CopyToProto(described)
    described.name = ""
    for one in described.message_type:
        for field in (*one.field, *(inner for nested in one.nested_type for inner in nested.field)):
            field.ClearField("json_name")
    for some in (described.message_type, described.enum_type):
        some.sort(key=lambda one: one.name)
    return described


def test_the_wire_is_that_of_clients() -> None:
    theirs = message("ClickData").DESCRIPTOR.file
    assert _described(ours.DESCRIPTOR) == _described(theirs)


def test_the_details_of_a_status_are_googles_on_the_wire() -> None:
    pairs: list[tuple[Any, Any]] = [
        (rich.Status.DESCRIPTOR, status_pb2.Status.DESCRIPTOR),
        (rich.RetryInfo.DESCRIPTOR, error_details_pb2.RetryInfo.DESCRIPTOR),
        (rich.BadRequest.DESCRIPTOR, error_details_pb2.BadRequest.DESCRIPTOR),
        (rich.BadRequest.FieldViolation.DESCRIPTOR, error_details_pb2.BadRequest.FieldViolation.DESCRIPTOR),
    ]
    for mine, googles in pairs:
        known = {field.name: (field.number, field.type, field.is_repeated) for field in googles.fields}
        for field in mine.fields:
            assert known[field.name] == (field.number, field.type, field.is_repeated), mine.full_name
