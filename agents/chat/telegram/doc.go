// Package telegram is the driver of Telegram bots for package chat.
//
// Everything is sent with entities; no text is ever parsed as markup. Updates
// are received by long polling, or by a webhook where there is one. An update is
// confirmed to Telegram when it was handled and not before, so none is lost when
// the process ends; the order within a chat is kept.
package telegram
