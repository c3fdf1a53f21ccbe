package main

// target is a bound of one cell of the table.
type target struct {
	row, column string
	bound       float64
}

// Columns of the table, beside the contenders' names: those of peers and yardsticks hold how
// many times as fast nixnfsd is, those of nixnfsd with lower directories what these cost.
const (
	columnValue  = "value"  // of the row
	columnCPU    = "CPU"    // the server's, µs for each of the unit
	columnEcho   = "p50"    // of the echo's
	columnBefore = "before" // of the same workload before many handles were given out
	columnMore   = "more"   // MiB of memory that it took while it did this
)

// atMost reports whether a column's targets are upper bounds.
func atMost(column string) bool {
	switch column {
	case columnValue, columnCPU, columnEcho, columnMore, overOne, overMany:
		return true
	}
	return false
}

// targets are those that the project set itself, for two processors.
func targets() []target {
	list := []target{
		{"getattr-1", columnEcho, 1.2},
		{"getattr-32", columnCPU, 2.5},
		{"handles-1", columnBefore, 0.95},
		{"handles-32", columnBefore, 0.95},
		{"eval-1", columnCPU, 12},
		{"eval-8", columnCPU, 12},
		{"list-long", columnMore, 40},
		{"read-64k", columnCPU, 300},
		{"read-1m", columnCPU, 300},
		{"commit-64k", system, 1 / 1.1},
		{"commit-1m", system, 1 / 1.1},
		{"beside", columnValue, 2},
		{"start", columnValue, 50},
		{"restart", columnValue, 50},
		{"idle", columnValue, 15},
		{"walk", columnValue, 100},
	}
	for _, p := range peerTargets() {
		for i, column := range []string{goNFS, ganesha, limit} {
			if p.bounds[i] > 0 {
				list = append(list, target{p.row, column, p.bounds[i]})
			}
		}
	}
	for _, row := range []string{"lookup-1", "lookup-32", "eval-1", "eval-8", "read-64k", "read-1m"} {
		list = append(list, target{row, overOne, 1.3}, target{row, overMany, 1.6})
	}
	return list
}

// peerTarget says how many times as fast as go-nfs, ganesha and the limit a workload has to be.
type peerTarget struct {
	row    string
	bounds [3]float64
}

func peerTargets() []peerTarget {
	return []peerTarget{
		{"getattr-1", [3]float64{1.3, 1.3, 0.9}},
		{"getattr-32", [3]float64{6, 8, 0.8}},
		{"handles-32", [3]float64{30, 5, 0.8}},
		{"lookup-1", [3]float64{6, 1.5, 0.8}},
		{"lookup-32", [3]float64{20, 6, 0.8}},
		{"eval-1", [3]float64{8, 2, 0.8}},
		{"eval-8", [3]float64{20, 3.5, 0.8}},
		{"list-long", [3]float64{5, 3, 0.9}},
		{"read-64k", [3]float64{9, 2, 0.9}},
		{"read-1m", [3]float64{9, 1.7, 0.9}},
		{"write-commit-64k", [3]float64{0, 1.5, 0.9}},
		{"write-commit-1m", [3]float64{0, 1.3, 0.9}},
		{"sync-4k", [3]float64{0, 1.5, 0.9}},
		{"unpack-1", [3]float64{5, 1.4, 0.8}},
		{"unpack-8", [3]float64{12, 3.5, 0.8}},
		{"remove-1", [3]float64{3, 1.5, 0.8}},
		{"remove-8", [3]float64{9, 4, 0.8}},
	}
}

// met reports whether a value is within the target.
func (t *target) met(v float64) bool {
	if atMost(t.column) {
		return v <= t.bound
	}
	return v >= t.bound
}
