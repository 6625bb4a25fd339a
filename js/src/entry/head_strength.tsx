import { widget } from "../mount";
import { StrengthView } from "../views/strength_view";

export default widget(StrengthView, "Head strength");
