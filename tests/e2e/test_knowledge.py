"""Knowledge as people come to it: a file is dropped, read while one looks on, found, opened at its place."""

import re

from playwright.sync_api import expect

from rag.services import create_collection
from tests.e2e.axe import list_violations
from tests.rag.works import work_off


def make_pdf(*pages: str) -> bytes:
    """One line a page, in a font that every reader has."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        drawing = f"BT /F1 18 Tf 72 700 Td ({text}) Tj ET"
        bodies += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>",
            f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream",
        ]
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(bodies) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\n"
    return content + f"{end}startxref\n{len(content)}\n%%EOF\n".encode()


def test_a_dropped_file_is_read_found_and_opened_at_its_place(arrive):
    chat = arrive(path=None)
    collection = create_collection(actor=chat.person, name="Leuchtturm", owner_id=chat.person.pk)
    page = chat.go(f"/knowledge/{collection.pk}/")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.locator("#arrivals").set_input_files(
        [
            {
                "name": "lamp.pdf",
                "mimeType": "application/pdf",
                "buffer": make_pdf("The harbour is calm.", "The lighthouse lamp turns every nine seconds."),
            },
            {"name": "empty.txt", "mimeType": "text/plain", "buffer": b""},
        ]
    )
    expect(page.locator(".arrivals .file-bad")).to_contain_text("This file is empty.")
    row = page.locator(".document-table tbody tr")
    expect(row).to_contain_text("lamp.pdf")
    expect(row).to_contain_text("Waiting")
    work_off()
    expect(row).to_contain_text("Ready")  # by itself
    expect(row.locator("[id^=pages-]")).to_have_text("2")
    assert list_violations(page) == []
    assert not any("pdfjs" in address for address in loaded), "only where a PDF is opened"

    page.get_by_role("link", name="Search bench").click()
    page.get_by_label("Question").fill("lighthouse lamp")
    page.get_by_label("Question").press("Enter")
    page.locator(".hit-head a").first.click()
    for number, button in ((1, "Next page"), (2, "To the passage")):  # it goes over both
        expect(page.locator("canvas")).to_have_attribute("aria-label", re.compile(f"^Page {number} of"))
        expect(page.locator(".pdf-mark").first).to_be_visible()
        page.get_by_role("button", name=button).click()
    expect(page.locator("canvas")).to_have_attribute("aria-label", re.compile("^Page 1 of"))
    fitting = page.locator("canvas").bounding_box()["width"]
    page.locator(".pdf-stage").press("+")
    expect(page.get_by_role("button", name="Fit to width")).to_have_attribute("aria-pressed", "false")
    page.wait_for_function("wide => document.querySelector('canvas').clientWidth > 1.2 * wide", arg=fitting)
    page.locator(".pdf-stage").press("0")
    page.wait_for_function("wide => document.querySelector('canvas').clientWidth === wide", arg=fitting)
    assert list_violations(page) == []

    chat.go(f"/knowledge/{collection.pk}/")
    page.locator("button[id^=delete-]").click()
    expect(page.get_by_role("heading", name="Delete this document?")).to_be_visible()
    page.get_by_role("button", name="Delete document", exact=True).click()
    expect(page.get_by_role("heading", name="No documents yet")).to_be_visible()
    expect(page.locator("#documents")).to_be_focused()


def test_a_large_file_waits_for_the_network_and_goes_on_where_it_stood(arrive, tmp_path):
    """In a collection, after a reload too; and in the chat, where a question names what came before it."""
    chat = arrive(path=None, expected=("ERR_FAILED", "ERR_INTERNET_DISCONNECTED"))
    collection = create_collection(actor=chat.person, name="Leuchtturm", owner_id=chat.person.pk)
    file = tmp_path / "log.txt"
    file.write_bytes(b"".join(b"Watch %07d: the lamp turns.\n" % number for number in range(300_000)))
    chat.page.add_init_script("BeforeUnloadEvent.prototype.preventDefault = () => {}")  # “Leave this page?”
    page, sent = chat.go(f"/knowledge/{collection.pk}/"), []
    page.on("request", lambda request: sent.append(request.url.rsplit("/", 2)[-2]))
    page.route("**/parts/", lambda route: route.abort() if sent.count("parts") > 1 else route.continue_())
    page.locator("#arrivals").set_input_files(file)
    line, offline = page.locator(".arrivals .file"), "Waiting for the network"
    expect(line).to_contain_text(offline)
    expect(line.locator(".figure")).to_have_text("4 MB of 8.9 MB")
    assert list_violations(page) == []
    page.reload()
    page.unroute("**/parts/")  # sooner, it would have gone on at once
    expect(line).to_contain_text("Choose this file again, and it goes on where it stood.")
    sent.clear()
    page.context.set_offline(True)
    page.locator("#arrivals").set_input_files(file)
    expect(line).to_contain_text(offline)
    assert line.count() == 1
    page.context.set_offline(False)
    expect(page.locator(".arrivals .file-done")).to_be_visible()
    assert sent.count("parts") == 2, "the first of three was there"
    document = collection.documents.get()
    assert document.file.size_bytes == file.stat().st_size and document.title == "log.txt"

    page = chat.go()
    page.route("**/complete/", lambda route: None)
    page.locator("[data-composer-files]").set_input_files(file)
    chip = page.locator("[data-chips] .document-chip")
    expect(chip).to_contain_text("8.9 MB of 8.9 MB")
    chat.box.fill("What turns?")
    chat.box.press("Enter")
    expect(page.locator("#notices")).to_contain_text("Files of this question are still on their way.")
    expect(chat.box).to_have_value("What turns?")
    chip.get_by_role("button").click()
    expect(chip).to_have_count(0)
    page.unroute("**/complete/")
    page.locator("[data-composer-files]").set_input_files(file)
    expect(chip.locator("[name=sent]")).to_be_enabled()
    chat.box.press("Enter")
    expect(page.locator(".message-files")).to_contain_text("log.txt")
    expect(chip).to_have_count(0)


def test_a_question_takes_documents_by_key_and_by_file(arrive):
    """What chooses them comes with the first use of the message's form, and misses nothing of it."""
    chat = arrive(path=None)
    create_collection(actor=chat.person, name="Leuchtturm", owner_id=chat.person.pk)
    loaded: list[str] = []
    chat.page.on("request", lambda request: loaded.append(request.url))
    page = chat.go()
    assert not any("question-documents" in address for address in loaded)
    chat.box.press_sequentially("How often? #Leu")
    expect(page.locator(".choice.is-active")).to_have_text(re.compile("Leuchtturm"))
    chat.box.press("Enter")
    chips = page.locator("[data-chips] .document-chip-name")
    expect(chips).to_have_text(["Leuchtturm"])
    expect(chat.box).to_have_value("How often? ")
    expect(chat.box).to_be_focused()

    page = chat.go()
    page.locator("[data-composer-files]").set_input_files(
        [{"name": "lamp.txt", "mimeType": "text/plain", "buffer": b"Every nine seconds."}]
    )
    expect(chips).to_have_text(["lamp.txt"])
