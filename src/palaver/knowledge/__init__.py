"""Documents in, passages out: parsing, cutting, embedding, and finding."""
