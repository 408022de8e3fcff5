"""What the sample mall sells, as data.

Prices stand where the policy has something to say: below and above ¥300, within every line and above some, and one
kind of item that no credit is given for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fenqi.texts import Text

__all__ = ["PRODUCTS", "PRODUCT_BY_SKU", "Product"]


class Product(msgspec.Struct, frozen=True):
    """One product. `category`, `kind` and `seller` are what the policy's rules see of it."""

    sku: str
    title: Text
    about: Text
    category: str
    kind: str
    seller: str
    price_minor: int


PRODUCTS: Final = (
    Product(
        "cg-15",
        Text("澄光 15 手机 12+256GB", "Clearlight 15 phone, 12+256 GB"),
        Text(
            "6.3 英寸屏，一天的电量，四年系统更新。",
            "6.3-inch screen, a day's battery, four years of updates.",
        ),
        "phones",
        "goods",
        "mall",
        499_900,
    ),
    Product(
        "cg-15-pro",
        Text("澄光 15 Pro 手机 16+512GB", "Clearlight 15 Pro phone, 16+512 GB"),
        Text(
            "长焦镜头，更亮的屏幕，同样的四年更新。",
            "A telephoto lens, a brighter screen, the same four years.",
        ),
        "phones",
        "goods",
        "mall",
        599_900,
    ),
    Product(
        "cg-fold",
        Text("澄光 折叠屏手机 16+512GB", "Clearlight Fold, 16+512 GB"),
        Text("展开 7.8 英寸，合上放进口袋。", "7.8 inches unfolded; folded, it fits a pocket."),
        "phones",
        "goods",
        "mall",
        999_900,
    ),
    Product(
        "cg-lite",
        Text("澄光 青春版手机 8+128GB", "Clearlight Lite phone, 8+128 GB"),
        Text("够用、轻巧，电池可在门店更换。", "Enough and light; stores replace its battery."),
        "phones",
        "goods",
        "mall",
        199_900,
    ),
    Product(
        "vista-65",
        Text("远景 65 英寸电视", "Vista 65-inch TV"),
        Text("由商家「远景家电」发货并开票。", "Shipped and invoiced by the seller Vista Home."),
        "tv",
        "goods",
        "vista_home",
        329_900,
    ),
    Product(
        "cg-buds",
        Text("澄光 降噪耳机", "Clearlight noise-cancelling earphones"),
        Text("单次 8 小时，充电盒再加 24 小时。", "8 hours at a time, 24 more in the case."),
        "accessories",
        "goods",
        "mall",
        49_900,
    ),
    Product(
        "cg-case",
        Text("澄光 15 保护壳", "Clearlight 15 case"),
        Text("透明，可回收材料。", "Clear, of recyclable material."),
        "accessories",
        "goods",
        "mall",
        14_900,
    ),
    Product(
        "figures-12",
        Text("「星际邮差」盲盒 整盒 12 只", "Star Postman blind boxes, case of 12"),
        Text(
            "12 款常规款，另有 1 款隐藏款，每盒抽中概率 1/144；拆封后不支持七天无理由退货。",
            "12 regular figures and a hidden one (1 in 144 per box); no no-reason return once opened.",
        ),
        "toys",
        "blind_box",
        "mall",
        59_900,
    ),
)
PRODUCT_BY_SKU: Final = {product.sku: product for product in PRODUCTS}
