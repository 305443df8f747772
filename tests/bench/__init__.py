"""`make bench`: how fast a pass is with the budget lifted, beside the least that any program would have to do. No test, no threshold."""
