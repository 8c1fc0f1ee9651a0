package certificate

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"

	"rsc.io/qr"

	"github.com/muniment/muniment/proofs"
)

// front is the head of the first page: title, number, and the code that opens the verify
// page.
func (c *composer) front(code *qr.Code, logo *image.RGBA) {
	c.y = 46 * pt
	if logo != nil {
		c.logo(logo)
	}
	const qrSide = 96 * pt
	width := bodyWidth
	if code != nil {
		width -= qrSide + 20*pt
		c.code2d(code, pageWidth-margin-qrSide, c.y, qrSide)
		label := cells(c.joined(sayScan, " · "))
		c.line(c.page(), label, styleSmall, pageWidth-margin-qrSide+(qrSide-widthOf(label, styleSmall.size))/2, c.y+qrSide+2*pt)
	}
	top := c.y
	for i, text := range c.each(c.title()) {
		st := styleTitle
		if i > 0 {
			st = style{15 * pt, 21 * pt, false, accent}
		}
		c.flow(c.text(text, st, width))
	}
	c.space(5 * pt)
	for _, text := range c.each(sayLede) {
		c.flow(c.text(text, style{9500, 14 * pt, false, grey}, width))
	}
	if code != nil {
		c.y = max(c.y, top+qrSide+14*pt)
	}
	c.space(8 * pt)
	if e := c.proof.evidence; e.Environment != proofs.Prod {
		c.banner(sayTestBanner.with(e.Origin), true)
	}
	if c.in.Signer == nil {
		c.banner(sayUnsigned, false)
	}
	c.row(sayNumber, same(c.number))
	c.row(sayDeposit, same(c.in.Standing.Deposit))
	c.row(sayIssued, moment(c.in.Issued))
	c.row(sayTemplate, sayTemplates[c.in.Profile].with(Template))
	if c.in.VerifyURL != "" {
		c.row(sayVerifyAt, same(c.in.VerifyURL))
	}
	if by := c.in.Signer; by != nil {
		signed := saySigned
		if by.Dated {
			signed = saySignedDated
		}
		c.row(saySignedBy, signed.with(by.Subject), saySignedUnder.with(by.Serial, by.Issuer))
	}
}

// flow is a single column of items over the whole width.
func (c *composer) flow(items []item) { c.columns([]int{margin}, items) }

// banner is a framed remark that nobody overlooks.
func (c *composer) banner(p phrase, strong bool) {
	const inset = 10 * pt
	st := style{9500, 14500, strong, ink}
	var items []item
	for _, text := range c.each(p) {
		items = append(items, c.text(text, st, bodyWidth-2*inset)...)
	}
	height := 12 * pt
	for _, i := range items {
		height += i.height
	}
	if height > bodyEnd-bodyTop { // hostile: an origin is short, a subject may not be
		c.flow(items)
		return
	}
	c.need(height + 8*pt)
	box(c.page(), margin, c.y, bodyWidth, height, white, ink)
	y := c.y + 6*pt
	for _, i := range items {
		i.draw(margin+inset, y)
		y += i.height
	}
	c.y += height + 9*pt
}

// code2d draws a QR code, dark modules of a row in one piece.
func (c *composer) code2d(code *qr.Code, x, y, side int) {
	module := side / code.Size
	fmt.Fprintf(c.page(), "%s rg\n", "0 0 0")
	for row := range code.Size {
		for col := 0; col < code.Size; col++ {
			start := col
			for col < code.Size && code.Black(col, row) {
				col++
			}
			if col > start {
				fmt.Fprintf(c.page(), "%s %s %s %s re\n", milli(x+start*module), milli(pageHeight-y-(row+1)*module), milli((col-start)*module), milli(module))
			}
		}
	}
	c.page().WriteString("f\n")
}

// Bounds of a logo.
const (
	maxLogo       = 256 << 10 // bytes of the PNG
	maxLogoWidth  = 800       // pixels
	maxLogoHeight = 300
)

// openLogo reads a PNG, on white.
func openLogo(data []byte) (*image.RGBA, error) {
	if data == nil {
		return nil, nil
	}
	head, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil || len(data) > maxLogo || head.Width > maxLogoWidth || head.Height > maxLogoHeight || head.Width < 1 || head.Height < 1 {
		return nil, &inputError{logoName, fmt.Errorf("a logo is a PNG of at most %d bytes and %d by %d pixels", maxLogo, maxLogoWidth, maxLogoHeight)}
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, &inputError{logoName, errors.New("it is no whole PNG")}
	}
	out := image.NewRGBA(image.Rect(0, 0, head.Width, head.Height))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), img, img.Bounds().Min, draw.Over)
	return out, nil
}

// CheckLogo refuses what cannot be the logo on a certificate.
func CheckLogo(data []byte) error {
	_, err := openLogo(data)
	return err
}

// logo draws it above the title, 36 points high at most.
func (c *composer) logo(logo *image.RGBA) {
	w, h := logo.Bounds().Dx(), logo.Bounds().Dy()
	height := 36 * pt
	width := height * w / h
	if width > 190*pt {
		width = 190 * pt
		height = width * h / w
	}
	fmt.Fprintf(c.page(), "q %s 0 0 %s %s %s cm /Logo Do Q\n", milli(width), milli(height), milli(margin), milli(pageHeight-c.y-height))
	c.y += height + 12*pt
}

// pixels are a picture's, three bytes each.
func pixels(img *image.RGBA) []byte {
	out := make([]byte, 0, len(img.Pix)/4*3)
	for i := 0; i < len(img.Pix); i += 4 {
		out = append(out, img.Pix[i], img.Pix[i+1], img.Pix[i+2])
	}
	return out
}
