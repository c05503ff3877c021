package decode

// A Novelty is what a block has that its table has not.
type Novelty struct{}
