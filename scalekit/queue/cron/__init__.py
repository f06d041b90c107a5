"""Jobs at the times that SCALEKIT_QUEUE_CRON names: each slot fires once, however many schedulers look.

`schedules` knows when, without Django; `entries` reads the settings; `firing` writes a row for each slot in
the transaction that enqueues its job. Page: docs/howto/cron.md.
"""
