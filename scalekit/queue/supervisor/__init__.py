"""The process that starts the workers and the relay, replaces those that die, and scales.

`supervisor`   the loop, and how all of it ends
`pool`         the worker processes: how many there are, and which of them
`child`        one of them, from here
`link`         from there: what a child and its supervisor tell each other
`restarts`     how long to wait before a process that died is replaced
`sights`       what waits in the queues, looked at in a thread, as a server may hang
`figures`      what is known right now, as values
`probes`       /livez, /readyz, /scale and /metrics over it
"""
