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
    name_ja: str
    description_ja: str
    on_hand: int = PLENTY


CATALOGUE = (
    DemoProduct(
        "SENCHA-100",
        "Sencha green tea, 100 g",
        Decimal("9.80"),
        "First flush from Uji, steamed.",
        "煎茶 100 g",
        "宇治の一番茶。蒸し製。",
    ),
    DemoProduct(
        "MATCHA-30",
        "Matcha, 30 g",
        Decimal("24.50"),
        "Stone-ground, for whisking.",
        "抹茶 30 g",
        "石臼挽き。お点前に。",
    ),
    DemoProduct(
        "BOWL-01",
        "Tea bowl",
        Decimal("38.00"),
        "Ash-glazed stoneware. No two are alike.",
        "抹茶碗",
        "灰釉の陶器。一点ずつ表情が異なります。",
    ),
    DemoProduct(
        "KYUSU-01",
        "Side-handled teapot",
        Decimal("64.00"),
        "Red Tokoname clay, 300 ml.",
        "横手急須",
        "常滑の朱泥。300 ml。",
    ),
    DemoProduct(
        "WHISK-80",
        "Bamboo whisk",
        Decimal("18.90"),
        "Eighty prongs, cut from one piece.",
        "茶筅",
        "八十本立。一本の竹から削り出しています。",
    ),
    DemoProduct(
        "CLOTH-70",
        "Furoshiki wrapping cloth",
        Decimal("15.00"),
        "Cotton, 70 by 70 cm, dyed with indigo.",
        "風呂敷",
        "綿、70 cm 角。藍染め。",
    ),
    DemoProduct(
        "BENTO-02",
        "Cedar bento box",
        Decimal("46.00"),
        "Two tiers, unlacquered.",
        "杉の弁当箱",
        "二段。白木仕上げ。",
    ),
    DemoProduct(
        "PAPER-50",
        "Washi paper, 50 sheets",
        Decimal("12.40"),
        "Mulberry fibre, A4.",
        "和紙 50 枚",
        "楮。A4 判。",
    ),
    DemoProduct(
        "INCENSE-1",
        "Hinoki incense",
        Decimal("7.20"),
        "Forty sticks, half an hour each.",
        "檜のお香",
        "四十本入り。一本で約三十分。",
    ),
    DemoProduct(
        "KNIFE-165",
        "Santoku knife, 165 mm",
        Decimal("189.00"),
        "Forged by hand, three a month.",
        "三徳包丁 165 mm",
        "手打ち。月に三本のみ。",
        on_hand=3,
    ),
)
