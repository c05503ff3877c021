module arbalest

go 1.26
