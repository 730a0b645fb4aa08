package main

import "math"

// A shape returns how deep inside it a point is: the distance to its edge in
// units of the 16 by 16 grid, negative outside. Distances give smooth edges at
// every size, and a gap around a shape is one subtraction.
type shape func(x, y float64) float64

// disc is a filled circle.
func disc(cx, cy, r float64) shape {
	return func(x, y float64) float64 { return r - math.Hypot(x-cx, y-cy) }
}

// ring is a circle drawn with a pen of the given width.
func ring(cx, cy, r, width float64) shape {
	return func(x, y float64) float64 { return width/2 - math.Abs(math.Hypot(x-cx, y-cy)-r) }
}

// line is a stroke with rounded ends.
func line(x0, y0, x1, y1, width float64) shape {
	dx, dy := x1-x0, y1-y0
	return func(x, y float64) float64 {
		t := ((x-x0)*dx + (y-y0)*dy) / (dx*dx + dy*dy)
		t = min(max(t, 0), 1)
		return width/2 - math.Hypot(x-x0-t*dx, y-y0-t*dy)
	}
}

// box is a rectangle with rounded corners.
func box(x0, y0, x1, y1, r float64) shape {
	cx, cy, hw, hh := (x0+x1)/2, (y0+y1)/2, (x1-x0)/2-r, (y1-y0)/2-r
	return func(x, y float64) float64 {
		dx, dy := math.Abs(x-cx)-hw, math.Abs(y-cy)-hh
		outside := math.Hypot(max(dx, 0), max(dy, 0))
		return r - outside - min(max(dx, dy), 0)
	}
}

// triangle points up and has rounded corners.
func triangle(cx, top, bottom, half, r float64) shape {
	// The distance to each slanted edge, along its normal.
	height := bottom - top
	length := math.Hypot(half, height)
	nx, ny := height/length, half/length
	return func(x, y float64) float64 {
		slanted := (y-top-r)*ny - math.Abs(x-cx)*nx
		d := min(slanted, bottom-r-y)
		return d + r
	}
}

func union(shapes ...shape) shape {
	return func(x, y float64) float64 {
		d := math.Inf(-1)
		for _, s := range shapes {
			d = max(d, s(x, y))
		}
		return d
	}
}

// minus is a without b and without a gap around b.
func minus(a, b shape, gap float64) shape {
	return func(x, y float64) float64 { return min(a(x, y), -b(x, y)-gap) }
}

// turned moves the origin of s to cx, cy and rotates its x axis to point up
// and right.
func turned(cx, cy float64, s shape) shape {
	return func(x, y float64) float64 {
		x, y = x-cx, y-cy
		return s((x-y)/math.Sqrt2, (x+y)/math.Sqrt2)
	}
}

// scaled scales s around the center of the grid.
func scaled(by float64, s shape) shape {
	return func(x, y float64) float64 { return by * s(8+(x-8)/by, 8+(y-8)/by) }
}
