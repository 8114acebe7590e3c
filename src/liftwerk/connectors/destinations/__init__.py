"""Ways out: what each vendor wants of an event, how a request is made of it, what an answer means.

Nothing here decides when to send or what to do after a failure: that is
`liftwerk.operations.forward`. Nothing here reads events either: it is handed rows that were read
for the destination's purpose.
"""
