"""Fills static/vendor from npm, pinned by package-lock.json. Run it after a change here, or after a template
uses a new icon.

    python requirements/web/vendor.py            install what the lock names, then copy
    python requirements/web/vendor.py --relock   resolve package.json anew first

`pip install "fonttools[woff]"` (4.x, MIT) comes first: it takes from Inter what no page shows.
The lock holds versions and hashes but no registry address: npm's own configuration names the registry. What
is copied is committed, with its licences, so that neither running nor testing needs npm.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "static" / "vendor"

INTER, MONO = "@fontsource-variable/inter", "@fontsource-variable/jetbrains-mono"
MATH = "@fontsource/noto-sans-math"  # whole, in spite of its name
FILES = {  # where in node_modules → where below static/vendor
    "htmx.org/dist/htmx.min.js": "htmx/htmx.min.js",
    "htmx.org/LICENSE": "htmx/LICENSE",
    "dompurify/dist/purify.min.js": "dompurify/purify.min.js",
    "dompurify/LICENSE": "dompurify/LICENSE",
    f"{INTER}/files/inter-latin-wght-normal.woff2": "inter/inter-latin.woff2",
    f"{INTER}/files/inter-latin-ext-wght-normal.woff2": "inter/inter-latin-ext.woff2",
    f"{INTER}/LICENSE": "inter/LICENSE",
    f"{MONO}/files/jetbrains-mono-latin-wght-normal.woff2": "jetbrains-mono/jetbrains-mono-latin.woff2",
    f"{MONO}/LICENSE": "jetbrains-mono/LICENSE",
    f"{MATH}/files/noto-sans-math-latin-400-normal.woff2": "noto-sans-math/noto-sans-math.woff2",
    f"{MATH}/LICENSE": "noto-sans-math/LICENSE",
    "lucide-static/LICENSE": "lucide/LICENSE",
    "mermaid/dist/mermaid.min.js": "mermaid/mermaid.min.js",
    "mermaid/LICENSE": "mermaid/LICENSE",
    "pdfjs-dist/build/pdf.min.mjs": "pdfjs/pdf.min.js",
    "pdfjs-dist/build/pdf.worker.min.mjs": "pdfjs/pdf.worker.min.js",
    "pdfjs-dist/LICENSE": "pdfjs/LICENSE",
    "graphology/dist/graphology.umd.min.js": "graphology/graphology.min.js",
    "graphology/LICENSE.txt": "graphology/LICENSE",
    "sigma/dist/sigma.min.js": "sigma/sigma.min.js",
    "sigma/LICENSE.txt": "sigma/LICENSE",
}
# a page loads it first: the weights that tokens.css names and bold, and what the styles ask of its glyphs
INTER_FIRST, INTER_WEIGHTS = "inter/inter-latin.woff2", (400, 700)
INTER_FEATURES = ["calt", "ccmp", "kern", "locl", "mark", "mkmk", "pnum", "tnum"]
# how fonts of Chinese PDFs name their characters, else there is no text: folder → names, and where to
FOLDERS = {"pdfjs-dist/cmaps": (("*GB*", "*B5*", "UniCNS*"), "pdfjs/cmaps")}
ICON_IN_USE = re.compile(
    r"""\{% icon "([a-z0-9-]+)"|icon\("([a-z0-9-]+)"\)|\bicon="([a-z0-9-]+)"[,)]"""
    r"""|\bPlace\(MenuGroup\.\w+, \d+, "([a-z0-9-]+)"|start, "([a-z0-9-]+)"|"SITE_SYMBOL": "([a-z0-9-]+)\""""
    r"""|^    "[a-z_]+": "([a-z0-9-]+)",$""",  # administration/icons.py
    re.MULTILINE,
)
# the maps are not shipped; Django's manifest storage would look for them
SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=\S+\s*$")


def install(folder: Path, relock: bool) -> Path:
    """Install into `folder`; returns its node_modules. With `relock`, package-lock.json is written anew,
    without addresses.
    """
    shutil.copy(HERE / "package.json", folder)
    npm = shutil.which("npm") or sys.exit("npm is not installed.")
    quiet = ["--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if relock:
        subprocess.run([npm, "install", "--omit-lockfile-registry-resolved", *quiet], cwd=folder, check=True)
        shutil.copy(folder / "package-lock.json", HERE)
    else:
        shutil.copy(HERE / "package-lock.json", folder)
        subprocess.run([npm, "ci", *quiet], cwd=folder, check=True)
    if "resolved" in (HERE / "package-lock.json").read_text():
        sys.exit("package-lock.json names a registry. Run vendor.py --relock.")
    return folder / "node_modules"


def find_icons() -> list[str]:
    """Names of the Lucide icons that templates (`{% icon "name" %}`), modules (`icon("name")`), places of the
    rail (`icon="name"`) and the administrations show.
    """
    sources = [
        *(ROOT / "templates").rglob("*.html"),
        *(ROOT / "static" / "js").rglob("*.js"),
        *ROOT.glob("*/places.py"),
        *ROOT.glob("*/admin.py"),
        *ROOT.glob("[!t]*/admin/*.py"),
        *(ROOT / "administration" / name for name in ("icons.py", "menu.py", "search.py")),
        ROOT / "config" / "settings" / "admin.py",
        *ROOT.glob("*/platform/admin.py"),
    ]
    return sorted(
        {
            name
            for path in sources
            for names in ICON_IN_USE.findall(path.read_text())
            for name in names
            if name
        }
    )


def make_sprite(modules: Path, names: list[str]) -> str:
    """One SVG with a symbol per icon; `.icon` (components/icon.css) draws them."""
    symbols = []
    for name in names:
        source = (modules / "lucide-static" / "icons" / f"{name}.svg").read_text()
        shapes = re.sub(
            r"\s+", " ", source[source.index(">", source.index("<svg")) + 1 : source.rindex("</svg>")]
        ).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg">\n<!-- Lucide, ISC licence: see LICENSE -->\n'
        + "\n".join(symbols)
        + "\n</svg>\n"
    )


def cut_font(path: Path) -> None:
    """Leave all characters of Inter, the weights of INTER_WEIGHTS and INTER_FEATURES: 48 kB become 32."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont
    from fontTools.varLib.instancer import instantiateVariableFont

    font = TTFont(path)
    options = Options(layout_features=INTER_FEATURES, name_IDs=["*"], notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=font.getBestCmap())
    subsetter.subset(font)
    font = instantiateVariableFont(font, {"wght": INTER_WEIGHTS})
    font.flavor = "woff2"
    font.save(path)


def copy(modules: Path) -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    for source, target in FILES.items():
        path = TARGET / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".js":
            path.write_text(SOURCE_MAP.sub("\n", (modules / source).read_text()))
        else:
            shutil.copyfile(modules / source, path)
    cut_font(TARGET / INTER_FIRST)
    for source, (patterns, target) in FOLDERS.items():
        (TARGET / target).mkdir(parents=True)
        for path in (path for pattern in patterns for path in (modules / source).glob(pattern)):
            shutil.copyfile(path, TARGET / target / path.name)
    names = find_icons()
    (TARGET / "lucide" / "icons.svg").write_text(make_sprite(modules, names))
    packages = json.loads((HERE / "package.json").read_text())["dependencies"]
    licences = {
        name: json.loads((modules / name / "package.json").read_text())["license"] for name in packages
    }
    lines = [f"{name} {version}: {licences[name]}" for name, version in sorted(packages.items())]
    (TARGET / "README").write_text(
        "Copied from npm by requirements/web/vendor.py. Do not edit.\n\n" + "\n".join(lines) + "\n"
    )
    sys.stdout.write(f"{len(FILES)} files and {len(names)} icons in {TARGET.relative_to(ROOT)}\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy(install(Path(folder), relock="--relock" in sys.argv[1:]))


if __name__ == "__main__":
    main()
