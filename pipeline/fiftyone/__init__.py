"""FiftyOne without FiftyOne: `export` writes a folder that it imports, `edits` reads what people changed there."""
