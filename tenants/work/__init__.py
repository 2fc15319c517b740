"""What is done later: duties (look again at a time), tasks (one call after the answer, such as a mail) and
work: rows that workers claim, whatever takes longer than a request.

A room declares a kind of work (`kinds.work_kind`) and orders it (`services.order`) in its own transaction;
its function gets a `runs.Run`. `crew` is what a worker does, `turns` whose turn it is.
"""
