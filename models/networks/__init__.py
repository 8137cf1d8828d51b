"""The networks: those of this project (`plain`) and those that come with weights (`pretrained`)."""
