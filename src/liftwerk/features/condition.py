def columns_of_event(d, c, u): return {}
def condition_ibis(c, t): raise NotImplementedError
def parse_condition(t, c): raise NotImplementedError
def check_condition(*a): return []
