"""Names of other tools: each against what its tool's documentation has it for."""

from pathlib import Path

import pytest

from domain.errors import InvalidInputError
from domain.event_names import load_event_names
from domain.event_types import load_event_weights

# support.google.com/analytics/answer/9267735, online sales
GA4 = {
    "add_payment_info": "add_payment_info",
    "add_shipping_info": "add_shipping_info",
    "add_to_cart": "add_to_cart",
    "add_to_wishlist": "add_to_favorites",
    "begin_checkout": "checkout_started",
    "purchase": "purchase",
    "refund": "refund_requested",
    "remove_from_cart": "remove_from_cart",
    "search": "search",
    "select_item": "click_from_category",
    "select_promotion": "select_promotion",
    "share": "share",
    "view_cart": "view_cart",
    "view_item": "view",
    "view_item_list": "product_impression",
    "view_promotion": "view_promotion",
}

# segment.com/docs/connections/spec/ecommerce/v2
SEGMENT = {
    "Products Searched": "search",
    "Product List Viewed": "product_impression",
    "Product List Filtered": "product_list_filtered",
    "Promotion Viewed": "view_promotion",
    "Promotion Clicked": "select_promotion",
    "Product Clicked": "click_from_category",
    "Product Viewed": "view",
    "Product Added": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Cart Viewed": "view_cart",
    "Checkout Started": "checkout_started",
    "Checkout Step Viewed": "checkout_step_viewed",
    "Checkout Step Completed": "checkout_step_completed",
    "Payment Info Entered": "add_payment_info",
    "Order Completed": "purchase",
    "Order Updated": "order_updated",
    "Order Refunded": "refund_requested",
    "Order Cancelled": "cancel_order",
    "Coupon Entered": "coupon_entered",
    "Coupon Applied": "coupon_applied",
    "Coupon Denied": "coupon_denied",
    "Coupon Removed": "coupon_removed",
    "Product Added to Wishlist": "add_to_favorites",
    "Product Removed from Wishlist": "product_removed_from_wishlist",
    "Wishlist Product Added to Cart": "add_to_cart",
    "Product Shared": "share",
    "Cart Shared": "cart_shared",
    "Product Reviewed": "write_review",
}

_UNSCORED = {
    "search",
    "share",
    "view_cart",
    "view_promotion",
    "select_promotion",
    "add_payment_info",
    "add_shipping_info",
    "product_list_filtered",
    "checkout_step_viewed",
    "checkout_step_completed",
    "order_updated",
    "coupon_entered",
    "coupon_applied",
    "coupon_denied",
    "coupon_removed",
    "product_removed_from_wishlist",
    "cart_shared",
}
"""What moves no popularity. Steps of a checkout do not: its start has already."""


def test_the_sets_have_these_names_and_no_others() -> None:
    assert load_event_names() == {}
    assert load_event_names(["ga4"]) == {name: known for name, known in GA4.items() if name != known}
    assert load_event_names(["segment"]) == SEGMENT
    assert load_event_names(["segment", "ga4"]).keys() == load_event_names(["ga4", "segment"]).keys()


@pytest.mark.parametrize("event_type", sorted({*GA4.values(), *SEGMENT.values()}))
def test_each_is_a_type_with_a_weight_or_is_meant_to_have_none(event_type: str) -> None:
    assert (event_type in load_event_weights()) != (event_type in _UNSCORED)


def _file(folder: Path, text: str) -> Path:
    path = folder / "names.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_shop_adds_names_changes_some_and_switches_others_off(tmp_path: Path) -> None:
    own = _file(
        tmp_path, '"Produkt gesehen" = "view"\nselect_item = "click_from_search"\nrefund = false\nnever = false'
    )
    names = load_event_names(["ga4"], own)
    expected = load_event_names(["ga4"]) | {"Produkt gesehen": "view", "select_item": "click_from_search"}
    del expected["refund"]
    assert names == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('x = "View"', "'x': 'View' can't be an event type"),
        ('x = "view\\n"', "can't be an event type"),
        (f'x = "{"v" * 65}"', "can't be an event type"),
        ('x = ""', "can't be an event type"),
        ("x = true", "expected an event type in quotes, or false, got True"),
        ("x = 1", "expected an event type in quotes, or false, got 1"),
        ('[ga4]\nx = "view"', "'ga4': expected an event type"),
        ('"" = "view"', "a name has 1 to 128 characters"),
        (f'{"n" * 129} = "view"', "a name has 1 to 128 characters"),
        ("x = ", "Invalid value"),
        ('x = "a"\nx = "b"', "overwrite"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_name(tmp_path: Path, text: str, told: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(InvalidInputError, match="FOOTFALL_EVENT_NAMES_FILE") as raised:
        load_event_names((), path)
    assert told in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"FOOTFALL_EVENT_NAMES_FILE, .*missing\.toml"):
        load_event_names((), tmp_path / "missing.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="FOOTFALL_EVENT_NAMES_FILE"):
        load_event_names((), binary)
