package cost

// A Price is what S3 asks for something, in dollars, and who says so.
type Price struct {
	Of      string
	Dollars float64
	Per     string
	Source  string
}

// The sources of prices and of the rules of classes. AWS's own page fills its
// tables in by script, so that what was read are others' copies of it.
const (
	sourceTiers    = "[EverettBerry](https://gist.github.com/EverettBerry/a37438006529a55f42da6fdbc44a505c), 2022; the first [usage.ai](https://www.usage.ai/blogs/aws/storage-cost/glacier-deep-archive-pricing/), 2026, too"
	sourceRequests = "[devnotes.tech](https://devnotes.tech/understanding-aws-s3-pricing-a-complete-cost-breakdown-with-examples)"
	sourceList     = "[cloudkaramchari.com](https://www.cloudkaramchari.com/blog/understanding-per-1000-put-copy-post-or-list-requests-in-amazon-s3-pricing/), devnotes.tech"
	sourceDelete   = "[regispires](https://gist.github.com/regispires/d3604636ec0e8d0d3ecab41f009f3d1c)"
	sourceCold     = "[usage.ai](https://www.usage.ai/blogs/aws/storage-cost/glacier-deep-archive-pricing/), [awsnegotiations.com](https://awsnegotiations.com/glacier-vs-glacier-deep-archive.html), 2026"
	sourceMove     = "[awsnegotiations.com](https://awsnegotiations.com/glacier-vs-glacier-deep-archive.html), 2026"
)

// Prices are list prices in us-east-1.
var Prices = struct {
	Storage                  [3]Price // the first 50 TB, the next 450 TB, and over 500 TB
	Put, List, Get           Price
	Delete                   Price
	Glacier, DeepArchive     Price // storage
	ToGlacier, ToDeepArchive Price
}{
	Storage: [3]Price{
		{"Standard, the first 50 TB", 0.023, "GB and month", sourceTiers},
		{"Standard, the next 450 TB", 0.022, "GB and month", sourceTiers},
		{"Standard, over 500 TB", 0.021, "GB and month", sourceTiers},
	},
	Put:           Price{"PUT", 0.005, "1,000", sourceList},
	List:          Price{"LIST, a page of 1,000 keys", 0.005, "1,000", sourceList},
	Get:           Price{"GET, also one that finds nothing", 0.0004, "1,000", sourceRequests},
	Delete:        Price{"DELETE", 0, "1,000", sourceDelete},
	Glacier:       Price{"Glacier Flexible Retrieval", 0.0036, "GB and month", sourceCold},
	DeepArchive:   Price{"Glacier Deep Archive", 0.00099, "GB and month", sourceCold},
	ToGlacier:     Price{"moving an object to Glacier Flexible Retrieval", 0.03, "1,000", sourceMove},
	ToDeepArchive: Price{"moving an object to Glacier Deep Archive", 0.05, "1,000", sourceMove},
}

// S3 counts a GB as 2^30 bytes, and a TB as 2^10 of those.
const (
	gb = 1 << 30
	tb = 1 << 40
)

// What an object in a Glacier class has beside itself, and the least that is moved
// there (doc/cost.md has the source).
const (
	coldIndex    = 32 << 10  // bytes, at the class's price
	coldMetadata = 8 << 10   // bytes, at Standard's
	coldLeast    = 128 << 10 // bytes
)

// Requests returns what requests cost, in dollars.
func (u Use) Requests() float64 {
	return (u.Put*Prices.Put.Dollars + u.List*Prices.List.Dollars + u.Get*Prices.Get.Dollars + u.Delete*Prices.Delete.Dollars) / 1000
}

// Standard returns what so many bytes cost in a month in Standard, in dollars.
func Standard(bytes float64) (dollars float64) {
	for i, most := range [...]float64{50 * tb, 450 * tb, bytes} {
		n := min(bytes, most)
		dollars += n / gb * Prices.Storage[i].Dollars
		bytes -= n
	}
	return dollars
}

// Cold returns what a month costs, in dollars, in which objects of a size are
// moved to a class that has so many already; beside what stays in Standard. ok is
// false if they are too small to be moved.
func Cold(objects, size, moved float64, class, move Price) (dollars, standard float64, ok bool) {
	if size < coldLeast {
		return 0, objects * size, false
	}
	return objects*(size+coldIndex)/gb*class.Dollars + moved*move.Dollars/1000, objects * coldMetadata, true
}
