"""`make screenshots`: every picture of the documents, drawn anew."""
