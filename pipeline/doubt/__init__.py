"""Which samples a person should look at: wrong labels, contradicting copies, outliers, crops that look wrong."""
