module drover.test/go_json

go 1.20
