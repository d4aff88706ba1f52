from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InteractionTypeProto(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLICK: _ClassVar[InteractionTypeProto]
    ORDER: _ClassVar[InteractionTypeProto]
CLICK: InteractionTypeProto
ORDER: InteractionTypeProto

class PersistClickDataRequest(_message.Message):
    __slots__ = ("user_id", "data")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    data: _containers.RepeatedCompositeFieldContainer[ClickData]
    def __init__(self, user_id: _Optional[str] = ..., data: _Optional[_Iterable[_Union[ClickData, _Mapping]]] = ...) -> None: ...

class ClickData(_message.Message):
    __slots__ = ("catalog_id", "product_id", "timestamp", "metadata")
    CATALOG_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    catalog_id: int
    product_id: int
    timestamp: int
    metadata: str
    def __init__(self, catalog_id: _Optional[int] = ..., product_id: _Optional[int] = ..., timestamp: _Optional[int] = ..., metadata: _Optional[str] = ...) -> None: ...

class PersistOrderDataRequest(_message.Message):
    __slots__ = ("user_id", "data")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    data: _containers.RepeatedCompositeFieldContainer[OrderData]
    def __init__(self, user_id: _Optional[str] = ..., data: _Optional[_Iterable[_Union[OrderData, _Mapping]]] = ...) -> None: ...

class OrderData(_message.Message):
    __slots__ = ("catalog_id", "product_id", "sub_order_num", "timestamp", "metadata")
    CATALOG_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    SUB_ORDER_NUM_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    catalog_id: int
    product_id: int
    sub_order_num: str
    timestamp: int
    metadata: str
    def __init__(self, catalog_id: _Optional[int] = ..., product_id: _Optional[int] = ..., sub_order_num: _Optional[str] = ..., timestamp: _Optional[int] = ..., metadata: _Optional[str] = ...) -> None: ...

class PersistDataResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class RetrieveDataRequest(_message.Message):
    __slots__ = ("user_id", "start_timestamp", "end_timestamp", "limit")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    END_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    start_timestamp: int
    end_timestamp: int
    limit: int
    def __init__(self, user_id: _Optional[str] = ..., start_timestamp: _Optional[int] = ..., end_timestamp: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class RetrieveInteractionsRequest(_message.Message):
    __slots__ = ("user_id", "interaction_types", "start_timestamp", "end_timestamp", "limit")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_TYPES_FIELD_NUMBER: _ClassVar[int]
    START_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    END_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    interaction_types: _containers.RepeatedScalarFieldContainer[InteractionTypeProto]
    start_timestamp: int
    end_timestamp: int
    limit: int
    def __init__(self, user_id: _Optional[str] = ..., interaction_types: _Optional[_Iterable[_Union[InteractionTypeProto, str]]] = ..., start_timestamp: _Optional[int] = ..., end_timestamp: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class RetrieveInteractionsResponse(_message.Message):
    __slots__ = ("data",)
    class DataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: InteractionData
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[InteractionData, _Mapping]] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: _containers.MessageMap[str, InteractionData]
    def __init__(self, data: _Optional[_Mapping[str, InteractionData]] = ...) -> None: ...

class InteractionData(_message.Message):
    __slots__ = ("click_events", "order_events")
    CLICK_EVENTS_FIELD_NUMBER: _ClassVar[int]
    ORDER_EVENTS_FIELD_NUMBER: _ClassVar[int]
    click_events: _containers.RepeatedCompositeFieldContainer[ClickEvent]
    order_events: _containers.RepeatedCompositeFieldContainer[OrderEvent]
    def __init__(self, click_events: _Optional[_Iterable[_Union[ClickEvent, _Mapping]]] = ..., order_events: _Optional[_Iterable[_Union[OrderEvent, _Mapping]]] = ...) -> None: ...

class RetrieveClickDataResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[ClickEvent]
    def __init__(self, data: _Optional[_Iterable[_Union[ClickEvent, _Mapping]]] = ...) -> None: ...

class ClickEvent(_message.Message):
    __slots__ = ("catalog_id", "product_id", "timestamp", "metadata")
    CATALOG_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    catalog_id: int
    product_id: int
    timestamp: int
    metadata: str
    def __init__(self, catalog_id: _Optional[int] = ..., product_id: _Optional[int] = ..., timestamp: _Optional[int] = ..., metadata: _Optional[str] = ...) -> None: ...

class RetrieveOrderDataResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[OrderEvent]
    def __init__(self, data: _Optional[_Iterable[_Union[OrderEvent, _Mapping]]] = ...) -> None: ...

class OrderEvent(_message.Message):
    __slots__ = ("catalog_id", "product_id", "sub_order_num", "timestamp", "metadata")
    CATALOG_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    SUB_ORDER_NUM_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    catalog_id: int
    product_id: int
    sub_order_num: str
    timestamp: int
    metadata: str
    def __init__(self, catalog_id: _Optional[int] = ..., product_id: _Optional[int] = ..., sub_order_num: _Optional[str] = ..., timestamp: _Optional[int] = ..., metadata: _Optional[str] = ...) -> None: ...
