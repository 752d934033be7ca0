// Package chattest tests drivers of chat platforms: a suite that every driver
// must pass, and a Telegram server that behaves as the real one does towards a
// bot, over real HTTP.
package chattest
