"""Tables: columns, types, missing values, in memory and streamed."""
