"""What the demonstration shop sells."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

PLENTY = 100_000
CURRENCY = "EUR"


@dataclass(frozen=True)
class DemoProduct:
    """A product, and how many there are at first."""

    sku: str
    name: str
    price: Decimal
    description: str
    on_hand: int = PLENTY


CATALOGUE = (
    DemoProduct("SENCHA-100", "Sencha green tea, 100 g", Decimal("9.80"), "First flush from Uji, steamed."),
    DemoProduct("MATCHA-30", "Matcha, 30 g", Decimal("24.50"), "Stone-ground, for whisking."),
    DemoProduct("BOWL-01", "Tea bowl", Decimal("38.00"), "Ash-glazed stoneware. No two are alike."),
    DemoProduct("KYUSU-01", "Side-handled teapot", Decimal("64.00"), "Red Tokoname clay, 300 ml."),
    DemoProduct("WHISK-80", "Bamboo whisk", Decimal("18.90"), "Eighty prongs, cut from one piece."),
    DemoProduct(
        "CLOTH-70", "Furoshiki wrapping cloth", Decimal("15.00"), "Cotton, 70 by 70 cm, dyed with indigo."
    ),
    DemoProduct("BENTO-02", "Cedar bento box", Decimal("46.00"), "Two tiers, unlacquered."),
    DemoProduct("PAPER-50", "Washi paper, 50 sheets", Decimal("12.40"), "Mulberry fibre, A4."),
    DemoProduct("INCENSE-1", "Hinoki incense", Decimal("7.20"), "Forty sticks, half an hour each."),
    DemoProduct(
        "KNIFE-165", "Santoku knife, 165 mm", Decimal("189.00"), "Forged by hand, three a month.", on_hand=3
    ),
)
