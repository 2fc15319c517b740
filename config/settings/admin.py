"""django-unfold's frame for the two administrations (administration.sites). Their colours, type and icons are
in static/css/admin/unfold.css, on the product's tokens.
"""

_COMMON = {
    "SITE_TITLE": "Atrium",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": False,  # language and appearance belong to the profile
    "SHOW_BACK_BUTTON": False,
    "COLORS": {},
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "administration.chrome.icon"}],
    "STYLES": [
        f"administration.chrome.{name}"
        for name in (
            "fonts",
            "tokens",
            "icon_styles",
            "unfold_styles",
            "charts",
            "start_styles",
            "page_styles",
            "list_styles",
        )
    ],
    "SCRIPTS": ["administration.chrome.theme_script", "administration.chrome.access_script"],
    "SIDEBAR": {"show_search": True, "command_search": True, "show_all_applications": False},
}
UNFOLD_SERVICE = _COMMON | {
    "SITE_SYMBOL": "sliders-horizontal",
    "SITE_SUBHEADER": "administration.chrome.tenant_name",
    "ENVIRONMENT": "administration.chrome.environment_badge",
}
UNFOLD_SYSTEM = _COMMON | {
    "SITE_SYMBOL": "server",
    "SITE_SUBHEADER": "administration.chrome.platform_name",
    "ENVIRONMENT": "administration.chrome.environment_badge",
}
UNFOLD = UNFOLD_SERVICE  # for what unfold draws outside both sites
AUDITLOG_INCLUDE_ALL_MODELS = False
AUDITLOG_DISABLE_REMOTE_ADDR = False
