"""What is collected and where the gaps are: every event, property, identifier and source.

`take` puts together what is declared, what was seen (`seen`), what was refused (`violations`), how
long it took (`latency`) and which sources fell silent (`silence`); `gaps` says what is wrong.
"""
