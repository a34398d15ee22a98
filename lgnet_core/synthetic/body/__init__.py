"""Surface of hands and arms: forearms and sleeves, skin detail, jewellery, watches and gloves."""
