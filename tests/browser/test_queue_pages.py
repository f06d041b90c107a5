"""The queue's pages of the admin, as an operator uses them, with jobs that would do harm if they could."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path

from scalekit.queue.models import PausedQueue, Status, TaskRecord
from tests.queue.dead import dead_letters

pytestmark = [
    pytest.mark.browser,
    pytest.mark.urls(__name__),
    pytest.mark.django_db(transaction=True),
]
urlpatterns = [path("admin/", admin.site.urls)]
QUEUES = "/admin/scalekit_queue/pausedqueue/"
LIST = "/admin/scalekit_queue/taskrecord/"
HARM = "</pre></script><script>harmed=1</script><img src=x onerror=harmed=1>"

TOO_WIDE = """
  document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("#content *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => `${element.tagName}.${element.className}`)
"""


@pytest.fixture(scope="module", autouse=True)
def databases_beside_a_loop():
    """Playwright keeps an event loop in this thread, where Django lets nobody query by default."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture
def window(chromium, live_server, settings):
    """Give a window of somebody who may do everything; whatever the browser complains about fails the test."""
    settings.TASKS = {"default": {"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}
    settings.SCALEKIT_QUEUE_BROKER = {
        "default": {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}
    }
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    context = chromium.new_context(
        base_url=live_server.url, viewport={"width": 1280, "height": 900}
    )
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    window = context.new_page()
    complaints = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("dialog", lambda dialog: complaints.append(dialog.message))
    window.on(
        "response",
        lambda response: complaints.append(response.url) if response.status >= 400 else None,
    )
    yield window
    context.close()
    assert complaints == []


def test_nothing_in_a_job_runs_in_the_browser(window):
    error = {"exception_class_path": HARM, "traceback": f"x\n{HARM}", "at": HARM}
    (row,) = dead_letters(
        path=HARM, queue_name=HARM, args=[HARM], kwargs={HARM: 1}, errors=[error], raw=HARM
    )
    for page in (LIST, f"{LIST}?status=FAILED", f"{LIST}{row.pk}/change/", QUEUES):
        window.goto(page)
        assert window.evaluate("typeof harmed") == "undefined"
        assert window.locator("img[src=x]").count() == 0


def test_an_operator_runs_all_that_a_filter_finds_again_in_three_clicks(window):
    dead_letters(250)
    dead_letters(3, queue_name="mail")
    window.goto(f"{LIST}?status=FAILED&queue=default")
    window.check("#action-toggle")
    window.click(".actions .question a")  # all 250, not the hundred of this page
    window.select_option("select[name=action]", "requeue")
    window.click("button[name=index]")
    assert "250 jobs" in window.inner_text("#content")
    window.click("input[type=submit]")
    assert "250 dead letters run again." in window.inner_text(".messagelist")
    assert TaskRecord.objects.filter(status=Status.READY).count() == 250


def test_an_operator_discards_one_from_its_page(window):
    row, _other = dead_letters(2)
    window.goto(f"{LIST}{row.pk}/change/")
    window.click("text=Discard")
    window.click("input[type=submit]")
    assert "1 dead letter discarded." in window.inner_text(".messagelist")
    assert not TaskRecord.objects.filter(pk=row.pk).exists()


def test_an_operator_pauses_a_queue_and_lets_it_go_on(window):
    window.goto(QUEUES)
    window.click("text=Pause")
    assert PausedQueue.objects.get().by == "boss"
    window.click("text=Resume")
    assert not PausedQueue.objects.exists()


def test_the_pages_fit_a_phone(window):
    (row,) = dead_letters(path=f"shop.{'long' * 20}.send", args=["x" * 500])
    window.set_viewport_size({"width": 390, "height": 844})
    for page in (f"{LIST}{row.pk}/change/", QUEUES):
        window.goto(page)
        assert window.evaluate(TOO_WIDE) == [], page
