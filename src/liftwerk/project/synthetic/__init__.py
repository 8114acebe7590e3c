"""A tracking test for every deploy: made-up journeys through the real collector.

All of them must arrive and hold, and none may reach a reader. `synthesize` is the test from begin
to end, `journey` what a customer does, `door` talks to the collector as any client does, and `hold`
looks at what came of it.
"""
