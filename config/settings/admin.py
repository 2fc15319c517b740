"""django-unfold's look for the two administrations (administration.sites). Colours follow
static/css/tokens.css.

A tenant's has the product's own teal; the platform's is violet with a dark side menu, so that
operators never mistake one for the other.
"""

SHADES = ("50", "100", "200", "300", "400", "500", "600", "700", "800", "900", "950")
# oklch lightness and chroma of each shade; 600 carries white text at 4.5:1 or
# better, 500 is the accent on dark ground
_LIGHTNESS = (0.977, 0.95, 0.9, 0.84, 0.77, 0.72, 0.5, 0.445, 0.39, 0.335, 0.27)


def scale(hue: int, chroma: float) -> dict[str, str]:
    """Eleven shades of one hue; the pale ones have less colour."""
    return {
        shade: f"oklch({lightness} {round(chroma * min(1.0, (1.02 - lightness) * 3.2), 3)} {hue})"
        for shade, lightness in zip(SHADES, _LIGHTNESS, strict=True)
    }


# Warm greys, from the page's white (50) to its night (950)
GREYS = {
    "50": "oklch(98% .004 85)",
    "100": "oklch(96% .005 85)",
    "200": "oklch(90.5% .007 85)",
    "300": "oklch(84% .009 85)",
    "400": "oklch(66% .011 80)",
    "500": "oklch(52.5% .012 75)",
    "600": "oklch(44% .012 70)",
    "700": "oklch(36% .009 70)",
    "800": "oklch(28.5% .008 70)",
    "900": "oklch(22% .006 70)",
    "950": "oklch(17.5% .005 70)",
}
FONT = {
    "subtle-light": "var(--color-base-500)",
    "subtle-dark": "var(--color-base-400)",
    "default-light": "var(--color-base-700)",
    "default-dark": "var(--color-base-200)",
    "important-light": "var(--color-base-900)",
    "important-dark": "var(--color-base-50)",
}
_COMMON = {
    "SITE_TITLE": "Atrium",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": False,  # language and appearance belong to the profile
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "8px",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "administration.chrome.icon"}],
    "STYLES": [
        f"administration.chrome.{name}"
        for name in ("tokens", "charts", "start_styles", "page_styles", "list_styles")
    ],
    "SCRIPTS": ["administration.chrome.theme_script", "administration.chrome.access_script"],
    "SIDEBAR": {"show_search": True, "command_search": True, "show_all_applications": False},
}
UNFOLD_SERVICE = _COMMON | {
    "SITE_SYMBOL": "tune",
    "SITE_SUBHEADER": "administration.chrome.tenant_name",
    "ENVIRONMENT": "administration.chrome.environment_badge",
    "COLORS": {"base": GREYS, "primary": scale(190, 0.082), "font": FONT},
}
UNFOLD_SYSTEM = _COMMON | {
    "SITE_SYMBOL": "dns",
    "SITE_SUBHEADER": "administration.chrome.platform_name",
    "ENVIRONMENT": "administration.chrome.environment_badge",
    "COLORS": {"base": GREYS, "primary": scale(290, 0.16), "font": FONT},
}
UNFOLD = UNFOLD_SERVICE  # for what unfold draws outside both sites
AUDITLOG_INCLUDE_ALL_MODELS = False
AUDITLOG_DISABLE_REMOTE_ADDR = False
